# Texts and their token blocks, in results/<run>/corpora/<model>.


rule miniature_world:
    output:
        # represents the folder, with the hashes of its files
        index=f"{RESULTS}/world/world.json",
    log:
        f"{RESULTS}/logs/miniature_world.log",
    conda:
        "../../envs/suite.yaml"
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        recipe=RECIPES.world(),
    message:
        "Writing the miniature world: texts and tasks"
    script:
        "../scripts/miniature.py"


rule corpus:
    input:
        model=rules.model.output[0],
        world=text_inputs,
    output:
        f"{RESULTS}/corpora/{{model}}/{{corpus}}.safetensors",
    log:
        f"{RESULTS}/logs/corpus/{{model}}/{{corpus}}.log",
    conda:
        "../../envs/suite.yaml"
    threads: asks("prepare", "threads")
    resources:
        **resources_of("prepare"),
    params:
        recipe=lambda wildcards: RECIPES.corpus(wildcards.corpus),
    message:
        "Tokenising the {wildcards.corpus} corpus for {wildcards.model}"
    script:
        "../scripts/corpus.py"
