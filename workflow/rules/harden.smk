# Final checkpoint, mask and manifest of a cell, in results/<run>/hardened.


rule harden:
    input:
        unpack(pruned_inputs),
        model=rules.model.output[0],
    output:
        config=f"{RESULTS}/hardened/{CELL}/config.json",
        weights=lasting(f"{RESULTS}/hardened/{CELL}/model.safetensors", "checkpoints"),
        mask=f"{RESULTS}/hardened/{CELL}/mask.safetensors",
        manifest=f"{RESULTS}/hardened/{CELL}/manifest.json",
    log:
        f"{RESULTS}/logs/harden/{CELL}.log",
    benchmark:
        f"{RESULTS}/benchmarks/harden/{CELL}.tsv"
    conda:
        "../../envs/suite.yaml"
    threads: asks("harden", "threads")
    resources:
        **resources_of("harden"),
    params:
        run=RUN,
        recipe=recipe("checkpoint"),
    message:
        "Hardening {wildcards.model}, {wildcards.method} at {wildcards.sparsity}"
    script:
        "../scripts/harden.py"
