# Methods that are trained, into results/<run>/pruned. An interrupted training leaves its state
# in results/<run>/training, which is no output: it has to outlive a failed job. They are the longest
# jobs, so they go first where there is a choice, and none is left alone at the end.


rule train:
    input:
        unpack(taken_inputs),
        model=rules.model.output[0],
        training=f"{RESULTS}/corpora/{{model}}/training.safetensors",
    output:
        logits=lasting(f"{RESULTS}/pruned/{CELL}/logits.safetensors", "logits"),
        report=f"{RESULTS}/pruned/{CELL}/training.json",
        journal=f"{RESULTS}/journals/train/{CELL}.jsonl",
    log:
        f"{RESULTS}/logs/train/{CELL}.log",
    benchmark:
        f"{RESULTS}/benchmarks/train/{CELL}.tsv"
    wildcard_constraints:
        method=one_of(LEARN_MASKS),
    priority: 1
    conda:
        "../../envs/suite.yaml"
    threads: asks("train", "threads")
    resources:
        **resources_of("train"),
    params:
        run=RUN,
        recipe=recipe("masks"),
        state=f"{RESULTS}/training/{CELL}",
    message:
        "Learning masks of {wildcards.model} at {wildcards.sparsity} with {wildcards.method}"
    script:
        "../scripts/train.py"


rule binarise:
    input:
        unpack(sparse_masks),
        logits=f"{RESULTS}/pruned/{CELL}/logits.safetensors",
        report=f"{RESULTS}/pruned/{CELL}/training.json",
    output:
        mask=f"{RESULTS}/pruned/{CELL}/mask.safetensors",
        choice=f"{RESULTS}/pruned/{CELL}/choice.json",
    log:
        f"{RESULTS}/logs/binarise/{CELL}.log",
    wildcard_constraints:
        method=one_of(LEARN_MASKS),
    conda:
        "../../envs/suite.yaml"
    threads: asks("harden", "threads")
    resources:
        **resources_of("harden"),
    params:
        implementation=lambda wildcards: config["implementations"][wildcards.method],
        recipe=recipe("selection"),
    message:
        "Selecting the mask of {wildcards.model}, {wildcards.method} at {wildcards.sparsity}"
    script:
        "../scripts/binarise.py"


# The same job for methods that learn weights: a rule has one set of outputs, and these are those of
# rule prune, so that what follows is the same.
use rule train as train_weights with:
    output:
        **NEW_WEIGHTS,
        journal=f"{RESULTS}/journals/train/{CELL}.jsonl",
    wildcard_constraints:
        method=one_of(LEARN_WEIGHTS),
    message:
        "Learning weights of {wildcards.model} at {wildcards.sparsity} with {wildcards.method}"
