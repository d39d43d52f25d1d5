# Bytes and speed of checkpoints: results/<run>/speed.


rule measure:
    input:
        model=rules.model.output[0],
        hardened=checkpoint_inputs,
    output:
        f"{RESULTS}/speed/{CELL}.json",
    log:
        f"{RESULTS}/logs/measure/{CELL}.log",
    conda:
        "../../envs/suite.yaml"
    # a whole machine where there is one, so that no other job slows it down
    threads: workflow.resource_settings.cores or asks("evaluate", "threads")
    resources:
        **resources_of("evaluate"),
    params:
        run=RUN,
        recipe=recipe("speed"),
    message:
        "Measuring {wildcards.model}, {wildcards.method} at {wildcards.sparsity}"
    script:
        "../scripts/measure.py"


rule speed:
    input:
        files_of_table("speed", "speed"),
        formats("speed"),
    localrule: True
