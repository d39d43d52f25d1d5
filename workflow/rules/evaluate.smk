# Six zero-shot tasks and perplexity of a cell, one JSON file each in results/<scale>/evaluations.


def checkpoint_inputs(wildcards):
    """The hardened checkpoint; none for dense, which is read from the model's own folder."""
    if wildcards.method == DENSE:
        return []
    folder = f"{RESULTS}/hardened/{wildcards.model}/{wildcards.method}/{wildcards.sparsity}"
    names = ("manifest.json", "config.json", "model.safetensors", "mask.safetensors")
    return [f"{folder}{wildcards.seed}/{name}" for name in names]


def task_inputs(wildcards):
    """The miniature world, where the tasks are its tasks."""
    miniature = any(
        task["task"].startswith("mini_") for task in config["evaluation"]["tasks"].values()
    )
    return f"{RESULTS}/world" if miniature else []


rule evaluate:
    input:
        store=ancient(rules.tracking_store.output),
        model=f"{RESULTS}/models/{{model}}",
        hardened=checkpoint_inputs,
        perplexity=f"{RESULTS}/corpora/{{model}}/perplexity.safetensors",
        world=task_inputs,
    output:
        evaluation=f"{RESULTS}/evaluations/{{model}}/{{method}}/{{sparsity}}{{seed}}.json",
        journal=f"{RESULTS}/journals/evaluate/{{model}}/{{method}}/{{sparsity}}{{seed}}.jsonl",
    log:
        f"{RESULTS}/logs/evaluate/{{model}}/{{method}}/{{sparsity}}{{seed}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/evaluate/{{model}}/{{method}}/{{sparsity}}{{seed}}.tsv"
    conda:
        "../../envs/suite.yaml"
    threads: config["resources"]["evaluate"]["threads"]
    resources:
        mem_mb=config["resources"]["evaluate"]["mem_mb"],
        runtime=config["resources"]["evaluate"]["runtime"],
        gpu=config["resources"]["evaluate"]["gpu"],
    params:
        cell=cell_of,
        settings=config["evaluation"],
    message:
        "Evaluating {wildcards.model}, {wildcards.method} at {wildcards.sparsity}"
    script:
        "../scripts/evaluate.py"
