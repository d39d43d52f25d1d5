# The final checkpoint of a cell with its mask and manifest, in results/<scale>/hardened.


rule harden:
    input:
        unpack(pruned_inputs),
        model=f"{RESULTS}/models/{{model}}",
    output:
        config=f"{RESULTS}/hardened/{{model}}/{{method}}/{{sparsity}}{{seed}}/config.json",
        weights=lasting(
            f"{RESULTS}/hardened/{{model}}/{{method}}/{{sparsity}}{{seed}}/model.safetensors",
            "checkpoints",
        ),
        mask=f"{RESULTS}/hardened/{{model}}/{{method}}/{{sparsity}}{{seed}}/mask.safetensors",
        manifest=f"{RESULTS}/hardened/{{model}}/{{method}}/{{sparsity}}{{seed}}/manifest.json",
        journal=f"{RESULTS}/journals/harden/{{model}}/{{method}}/{{sparsity}}{{seed}}.jsonl",
    log:
        f"{RESULTS}/logs/harden/{{model}}/{{method}}/{{sparsity}}{{seed}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/harden/{{model}}/{{method}}/{{sparsity}}{{seed}}.tsv"
    conda:
        "../../envs/suite.yaml"
    threads: asks("harden", "threads")
    resources:
        mem_mb=asks("harden", "mem_mb"),
        runtime=asks("harden", "runtime"),
    params:
        cell=cell_of,
        pattern=pattern,
    message:
        "Hardening {wildcards.model}, {wildcards.method} at {wildcards.sparsity}"
    script:
        "../scripts/harden.py"
