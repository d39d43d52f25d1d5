# Studies beside the grid, each a target of its own: `snakemake --cores all sweep`. A study stands in
# the scale's file, under `studies`: its cells, its table, and its figure if it has one.


for NAME, TABLE, STUDY in SHOWN_TABLES:
    if STUDY:

        rule:
            name:
                STUDY
            input:
                files_of_table(STUDY, TABLE),
                formats(STUDY) if "figure" in studies.section(STUDY, config) else [],
                [] if measure_of(STUDY) == "validation" else f"{RESULTS}/tracking/{STUDY}.json",
            localrule: True


rule validate:
    # Perplexity of text that is neither trained on nor reported; the tasks are not looked at.
    input:
        model=rules.model.output[0],
        hardened=checkpoint_inputs,
        validation=f"{RESULTS}/corpora/{{model}}/validation.safetensors",
    output:
        f"{RESULTS}/validation/{CELL}.json",
    log:
        f"{RESULTS}/logs/validate/{CELL}.log",
    conda:
        "../../envs/suite.yaml"
    threads: asks("evaluate", "threads")
    resources:
        mem_mb=asks("evaluate", "mem_mb"),
        runtime=asks("evaluate", "runtime"),
        gpu=asks("evaluate", "gpu"),
    params:
        run=RUN,
        recipe=recipe("validation"),
    message:
        "Validating {wildcards.model}, {wildcards.method} at {wildcards.sparsity}"
    script:
        "../scripts/validate.py"
