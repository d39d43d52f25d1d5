# Layer-wise methods, into results/<scale>/pruned. One rule serves every module in baselines/.


rule prune:
    input:
        model=f"{RESULTS}/models/{{model}}",
        calibration=f"{RESULTS}/corpora/{{model}}/calibration.safetensors",
        # an edited method runs again
        code=method_code,
    output:
        weights=f"{RESULTS}/pruned/{{model}}/{{method}}/{{sparsity}}{{seed}}/weights.safetensors",
        mask=f"{RESULTS}/pruned/{{model}}/{{method}}/{{sparsity}}{{seed}}/mask.safetensors",
        report=f"{RESULTS}/pruned/{{model}}/{{method}}/{{sparsity}}{{seed}}/pruning.json",
        journal=f"{RESULTS}/journals/prune/{{model}}/{{method}}/{{sparsity}}{{seed}}.jsonl",
    log:
        f"{RESULTS}/logs/prune/{{model}}/{{method}}/{{sparsity}}{{seed}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/prune/{{model}}/{{method}}/{{sparsity}}{{seed}}.tsv"
    wildcard_constraints:
        method=one_of(LAYER_WISE),
    conda:
        "../../envs/suite.yaml"
    threads: asks("prune", "threads")
    resources:
        mem_mb=asks("prune", "mem_mb"),
        runtime=asks("prune", "runtime"),
        gpu=asks("prune", "gpu"),
    params:
        cell=cell_of,
        implementation=lambda wildcards: IMPLEMENTATIONS[wildcards.method],
        settings=pruning_settings,
        batch=config["corpora"]["calibration"]["batch"],
    message:
        "Pruning {wildcards.model} to {wildcards.sparsity} with {wildcards.method}"
    script:
        "../scripts/prune.py"
