# `snakemake --cores 1 examples`: tracked results in results/examples, of the grid and of all finished
# studies; `results/examples/<run>-<study>` of one study.

# On real tasks, evaluations are tracked as well as tables, since they cost days; `make docs` makes
# the tables again.
KEPT = [] if has_generated_tasks(config) else CELLS
STUDIED = [study for study in STUDIES if Path(frames_of(study)["frame"]).is_file()]


rule examples:
    input:
        **frames_of(""),
        files=[
            *(
                f"{RESULTS}/tables/{name}"
                for name in ("main.csv", "main.md", "headline.json", "verdict.md")
            ),
            *(formats(name)[0] for name in SHOWN),
            *(file for study in STUDIED for file in files_of_study(study)),
        ],
        kept=[
            *of_each(KEPT, "evaluations/{}.json"),
            *of_each(KEPT, "items/{}.csv.gz"),
            *manifests_of(KEPT),
        ],
    output:
        directory(f"results/examples/{RUN}"),
    log:
        f"{RESULTS}/logs/examples.log",
    localrule: True
    conda:
        "../../envs/suite.yaml"
    params:
        scale=SCALE,
        made_by="examples",
        results=lambda wildcards: RESULTS,
        code=shown("report.examples"),
    message:
        "Copying tables and figures to results/examples"
    script:
        "../scripts/examples.py"


use rule examples as study_examples with:
    input:
        unpack(lambda wildcards: frames_of(wildcards.study)),
        files=lambda wildcards: files_of_study(wildcards.study),
    output:
        directory(f"results/examples/{RUN}-{{study}}"),
    log:
        f"{RESULTS}/logs/examples-{{study}}.log",
    wildcard_constraints:
        study=one_of(STUDIES),
    params:
        scale=SCALE,
        made_by=lambda wildcards, output: output[0],
        results=lambda wildcards: RESULTS,
        code=shown("report.examples"),
