# Dense checkpoints, or references to them, in results/<run>/models/<model>.


rule model:
    output:
        # represents the folder, with the hashes of its weights
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
        # to test a BOS that comes from the tokenizer and not from the settings
        text=lambda wildcards: (
            config["corpora"]["perplexity"]["text"] if wildcards.model in BOS_OF_TOKENIZER else {}
        ),
    message:
        "Preparing the dense model {wildcards.model}"
    script:
        "../scripts/model.py"
