# Layer-wise methods, into results/<run>/pruned. One rule serves every module in baselines/.

from leap_suite.plan.methods import rule_folders

OWN_RULES = list(rule_folders())
LAYER_WISE = sorted(
    {kind for name, kind in config["implementations"].items() if name not in TRAINED} - {*OWN_RULES}
)


rule prune:
    input:
        unpack(taken_inputs),
        model=rules.model.output[0],
        calibration=calibration_input,
    output:
        **NEW_WEIGHTS,
    log:
        f"{RESULTS}/logs/prune/{CELL}.log",
    benchmark:
        f"{RESULTS}/benchmarks/prune/{CELL}.tsv"
    wildcard_constraints:
        method=methods_of(*LAYER_WISE),
    conda:
        "../../envs/suite.yaml"
    threads: asks("prune", "threads")
    resources:
        **resources_of("prune"),
    params:
        run=RUN,  # without it, Snakemake would recompute cells of earlier versions
        recipe=recipe("masks"),
    message:
        "Pruning {wildcards.model} to {wildcards.sparsity} with {wildcards.method}"
    script:
        "../scripts/prune.py"


# Baselines with a rule of their own, baselines/<name>/rule.smk: foreign code in another environment
# or language. It writes plain files, which `adopt` checks and converts.
for FOLDER in OWN_RULES:

    include: f"../../baselines/{FOLDER}/rule.smk"


rule adopt:
    input:
        model=rules.model.output[0],
        weights=f"{RESULTS}/foreign/{CELL}/weights.safetensors",
        mask=f"{RESULTS}/foreign/{CELL}/mask.safetensors",
        benchmark=f"{RESULTS}/benchmarks/foreign/{CELL}.tsv",
    output:
        **NEW_WEIGHTS,
    log:
        f"{RESULTS}/logs/adopt/{CELL}.log",
    wildcard_constraints:
        method=methods_of(*OWN_RULES),
    conda:
        "../../envs/suite.yaml"
    threads: asks("harden", "threads")
    resources:
        **resources_of("harden"),
    params:
        run=RUN,  # without it, Snakemake would recompute cells of earlier versions
        recipe=recipe("masks"),
    message:
        "Checking the result of {wildcards.method} for {wildcards.model} at {wildcards.sparsity}"
    script:
        "../scripts/adopt.py"
