# `snakemake --cores 1 examples pattern_examples`: what is tracked in results/examples.

# of the studies that the scale has
STUDIED = {
    "sweep": [rules.sweep_table.output.markdown, formats("sweep")[0]],
    **{name: expand(rules.comparison_table.output, study=name) for name in studies.COMPARED},
    "tokens": [*rules.token_table.output, formats("tokens")[0]],
}
# Of real tasks also what tables are made from, which cost days, and not only the tables. With a
# grid's cells copied to results/<run>, `--allowed-rules tables` makes the tables again.
KEPT = [] if has_generated_tasks(config) else CELLS


rule examples:
    input:
        files=[
            rules.tables.output.csv,
            rules.tables.output.markdown,
            rules.tables.output.headline,
            rules.tables.output.verdict,
            *[formats(name)[0] for name in SHOWN],
            *[file for name, files in STUDIED.items() if name in config for file in files],
        ],
        evaluations=evaluations_of(CELLS),
        kept=[*evaluations_of(KEPT), *items_of(KEPT), *manifests_of(KEPT)],
    output:
        directory(f"results/examples/{RUN}"),
    log:
        f"{RESULTS}/logs/examples.log",
    localrule: True
    conda:
        "../../envs/suite.yaml"
    params:
        scale=SCALE,
        results=lambda wildcards: RESULTS,
        code=shown("report.examples"),
    message:
        "Copying tables and figures to results/examples"
    script:
        "../scripts/examples.py"


rule pattern_examples:
    input:
        files=[
            rules.pattern_table.output.csv,
            rules.pattern_table.output.markdown,
            formats("patterns")[0],
        ],
        evaluations=IN_STUDY["patterns"]["evaluations"],
    output:
        directory(f"results/examples/{RUN}-patterns"),
    log:
        f"{RESULTS}/logs/pattern_examples.log",
    localrule: True
    conda:
        "../../envs/suite.yaml"
    params:
        scale=SCALE,
        results=lambda wildcards: RESULTS,
        code=shown("report.examples"),
    message:
        "Copying the comparison of patterns to results/examples"
    script:
        "../scripts/examples.py"
