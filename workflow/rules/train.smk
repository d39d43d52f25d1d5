# Methods that are trained, into results/<scale>/pruned. An interrupted training leaves its state
# in results/<scale>/training, which is no output: it has to outlive a failed job.


rule train:
    input:
        unpack(prior_mask),
        unpack(sparse_masks),
        model=f"{RESULTS}/models/{{model}}",
        training=f"{RESULTS}/corpora/{{model}}/training.safetensors",
        # an edited method runs again
        code=method_code,
    output:
        logits=lasting(
            f"{RESULTS}/pruned/{{model}}/{{method}}/{{sparsity}}{{seed}}/logits.safetensors",
            "logits",
        ),
        report=f"{RESULTS}/pruned/{{model}}/{{method}}/{{sparsity}}{{seed}}/training.json",
        journal=f"{RESULTS}/journals/train/{{model}}/{{method}}/{{sparsity}}{{seed}}.jsonl",
    log:
        f"{RESULTS}/logs/train/{{model}}/{{method}}/{{sparsity}}{{seed}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/train/{{model}}/{{method}}/{{sparsity}}{{seed}}.tsv"
    wildcard_constraints:
        method=one_of(TRAINED),
    conda:
        "../../envs/suite.yaml"
    threads: asks("train", "threads")
    resources:
        mem_mb=asks("train", "mem_mb"),
        runtime=asks("train", "runtime"),
        gpu=asks("train", "gpu"),
    params:
        cell=cell_of,
        method=lambda wildcards: IMPLEMENTATIONS[wildcards.method],
        settings=training_settings,
        state=f"{RESULTS}/training/{{model}}/{{method}}/{{sparsity}}{{seed}}",
    message:
        "Learning masks of {wildcards.model} at {wildcards.sparsity} with {wildcards.method}"
    script:
        "../scripts/train.py"


rule binarise:
    input:
        unpack(sparse_masks),
        logits=f"{RESULTS}/pruned/{{model}}/{{method}}/{{sparsity}}{{seed}}/logits.safetensors",
        report=f"{RESULTS}/pruned/{{model}}/{{method}}/{{sparsity}}{{seed}}/training.json",
    output:
        mask=f"{RESULTS}/pruned/{{model}}/{{method}}/{{sparsity}}{{seed}}/mask.safetensors",
        choice=f"{RESULTS}/pruned/{{model}}/{{method}}/{{sparsity}}{{seed}}/choice.json",
    log:
        f"{RESULTS}/logs/binarise/{{model}}/{{method}}/{{sparsity}}{{seed}}.log",
    wildcard_constraints:
        method=one_of(TRAINED),
    conda:
        "../../envs/suite.yaml"
    threads: asks("harden", "threads")
    resources:
        mem_mb=asks("harden", "mem_mb"),
        runtime=asks("harden", "runtime"),
    params:
        method=lambda wildcards: IMPLEMENTATIONS[wildcards.method],
        rule=lambda wildcards: config["methods"][wildcards.method]["selection"],
    message:
        "Choosing the mask of {wildcards.model}, {wildcards.method} at {wildcards.sparsity}"
    script:
        "../scripts/binarise.py"
