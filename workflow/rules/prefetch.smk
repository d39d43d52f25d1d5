# `snakemake --cores 1 prefetch`: downloads of the scale into HF_HOME, for runs without network. It has no
# output, so it always runs; files that are in the cache and undamaged are not downloaded again.


rule prefetch:
    log:
        f"{RESULTS}/logs/prefetch.log",
    localrule: True
    conda:
        "../../envs/suite.yaml"
    params:
        downloads=of_hub(config),
    message:
        f"Downloading the models, texts and tasks of scale {config['scale']}"
    script:
        "../scripts/prefetch.py"
