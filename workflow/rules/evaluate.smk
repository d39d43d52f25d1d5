# Six zero-shot tasks and perplexity of a cell: scores in results/<scale>/evaluations, items beside.


rule evaluate:
    input:
        model=f"{RESULTS}/models/{{model}}",
        hardened=checkpoint_inputs,
        perplexity=f"{RESULTS}/corpora/{{model}}/perplexity.safetensors",
        world=task_inputs,
    output:
        evaluation=f"{RESULTS}/evaluations/{{model}}/{{method}}/{{sparsity}}{{seed}}.json",
        answers=f"{RESULTS}/items/{{model}}/{{method}}/{{sparsity}}{{seed}}.csv.gz",
        journal=f"{RESULTS}/journals/evaluate/{{model}}/{{method}}/{{sparsity}}{{seed}}.jsonl",
    log:
        f"{RESULTS}/logs/evaluate/{{model}}/{{method}}/{{sparsity}}{{seed}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/evaluate/{{model}}/{{method}}/{{sparsity}}{{seed}}.tsv"
    conda:
        "../../envs/suite.yaml"
    threads: asks("evaluate", "threads")
    resources:
        mem_mb=asks("evaluate", "mem_mb"),
        runtime=asks("evaluate", "runtime"),
        gpu=asks("evaluate", "gpu"),
    params:
        cell=cell_of,
        settings=config["evaluation"],
    message:
        "Evaluating {wildcards.model}, {wildcards.method} at {wildcards.sparsity}"
    script:
        "../scripts/evaluate.py"
