# Texts and their token blocks, in results/<scale>/corpora/<model>.


rule miniature_world:
    output:
        directory(f"{RESULTS}/world"),
    log:
        f"{RESULTS}/logs/miniature_world.log",
    conda:
        "../../envs/suite.yaml"
    resources:
        mem_mb=1000,
        runtime=10,
    message:
        "Writing the miniature world: texts and tasks"
    script:
        "../scripts/miniature_world.py"


rule corpus:
    input:
        model=f"{RESULTS}/models/{{model}}",
        text=text_inputs,
    output:
        f"{RESULTS}/corpora/{{model}}/{{corpus}}.safetensors",
    log:
        f"{RESULTS}/logs/corpus/{{model}}/{{corpus}}.log",
    conda:
        "../../envs/suite.yaml"
    threads: asks("prepare", "threads")
    resources:
        mem_mb=asks("prepare", "mem_mb"),
        runtime=asks("prepare", "runtime"),
    params:
        # how sequences are batched later does not change them
        settings=lambda wildcards: {
            key: value
            for key, value in config["corpora"][wildcards.corpus].items()
            if key != "batch"
        },
        text=text_setting,
    message:
        "Tokenising the {wildcards.corpus} corpus for {wildcards.model}"
    script:
        "../scripts/corpus.py"
