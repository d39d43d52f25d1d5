# Studies, each with a target of its own: `snakemake --cores all sweep`. The scale's file has under
# `studies` the cells of a study, its table, and its figures if it has any.

# included last: a study may have no name of another rule
try:
    studies.refuse_names(
        config, [*(rule.name for rule in workflow.rules), "grid", *OF_GRID, *SHOWN]
    )
except ValueError as error:
    raise WorkflowError(str(error)) from None


for NAME, TABLE, STUDY in SHOWN_TABLES:
    if STUDY:

        rule:
            name:
                STUDY
            input:
                files_of_table(STUDY, TABLE),
                [formats(figure) for figure in studies.figures_of(STUDY, config)],
                [] if measure_of(STUDY) == "validation" else f"{RESULTS}/tracking/{STUDY}.json",
            localrule: True


rule no_study:
    # For targets that are neither a rule nor a study, `cells_of` raises a readable error.
    input:
        lambda wildcards: of_each(cells_of(wildcards.study), "evaluations/{}.json"),
    output:
        "{study}",
    wildcard_constraints:
        study="[a-z][a-z0-9_]*",
    localrule: True
