# Dense checkpoints, written or referenced in results/<scale>/models/<model>.


rule model:
    output:
        directory(f"{RESULTS}/models/{{model}}"),
    log:
        f"{RESULTS}/logs/model/{{model}}.log",
    conda:
        "../../envs/suite.yaml"
    threads: asks("prepare", "threads")
    resources:
        mem_mb=asks("prepare", "mem_mb"),
        runtime=asks("prepare", "runtime"),
    params:
        settings=model_settings,
    message:
        "Preparing the dense model {wildcards.model}"
    script:
        "../scripts/model.py"
