# results.parquet and items.parquet: all results of the grid or of a study, checked once. Tables,
# figures and the page read only these two.


rule collect:
    input:
        unpack(collected),
    output:
        frame=f"{RESULTS}{{study}}/results.parquet",
        answers=f"{RESULTS}{{study}}/items.parquet",
    log:
        f"{RESULTS}/logs/collect{{study}}.log",
    wildcard_constraints:
        study=rf"(/studies/({one_of(STUDIES)}))?",
    localrule: True
    conda:
        "../../envs/suite.yaml"
    params:
        measure=lambda wildcards: measure_of(study_of(wildcards)),
        recipes=lambda wildcards: recipes_of(study_of(wildcards)),
        pruned=lambda wildcards: [
            cell.path for cell in cells_of(study_of(wildcards)) if cell.method != DENSE
        ],
        tasks=tasks.shown(config),
        patterns=PATTERNS,
        code=fingerprint(
            "leap_suite.results.collect",
            data=[Path(PACKAGE, "results/evaluation.schema.yaml")],
        ),
    message:
        "Collecting results"
    script:
        "../scripts/collect.py"
