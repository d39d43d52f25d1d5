# Dense checkpoints, written or referenced in results/<run>/models/<model>.


rule model:
    output:
        # a small file that stands for the whole folder, with the hashes of its weights
        f"{RESULTS}/models/{{model}}/model.json",
    log:
        f"{RESULTS}/logs/model/{{model}}.log",
    conda:
        "../../envs/suite.yaml"
    threads: asks("prepare", "threads")
    resources:
        **resources_of("prepare"),
    params:
        recipe=lambda wildcards: RECIPES.model(wildcards.model),
        # on which a BOS is tried that was not set but taken from the tokenizer
        text=lambda wildcards: (
            config["corpora"]["perplexity"]["text"] if wildcards.model in BOS_OF_TOKENIZER else {}
        ),
    message:
        "Preparing the dense model {wildcards.model}"
    script:
        "../scripts/model.py"
