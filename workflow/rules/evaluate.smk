# Tasks and perplexity of a cell: results/<run>/evaluations, and items.


rule evaluate:
    input:
        model=rules.model.output[0],
        hardened=checkpoint_inputs,
        perplexity=f"{RESULTS}/corpora/{{model}}/perplexity.safetensors",
        in_domain=(
            f"{RESULTS}/corpora/{{model}}/in_domain.safetensors"
            if "in_domain" in config["corpora"]
            else []
        ),
        world=rules.miniature_world.output.index if has_generated_tasks(config) else [],
    output:
        evaluation=f"{RESULTS}/evaluations/{CELL}.json",
        answers=f"{RESULTS}/items/{CELL}.csv.gz",
    log:
        f"{RESULTS}/logs/evaluate/{CELL}.log",
    benchmark:
        f"{RESULTS}/benchmarks/evaluate/{CELL}.tsv"
    conda:
        "../../envs/suite.yaml"
    threads: asks("evaluate", "threads")
    resources:
        **resources_of("evaluate"),
    params:
        run=RUN,
        recipe=recipe("evaluation"),
    message:
        "Evaluating {wildcards.model}, {wildcards.method} at {wildcards.sparsity}"
    script:
        "../scripts/evaluate.py"


rule validate:
    # Perplexity of text that is neither trained on nor reported, without tasks.
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
        **resources_of("evaluate"),
    params:
        run=RUN,
        recipe=recipe("validation"),
    message:
        "Validating {wildcards.model}, {wildcards.method} at {wildcards.sparsity}"
    script:
        "../scripts/validate.py"
