# `snakemake --cores 1 prefetch --config prefetch_to=DIR`: what the scale takes from a hub, for machines
# without network. It has no output, so it always runs; what is there whole is not fetched again.


rule prefetch:
    log:
        f"{RESULTS}/logs/prefetch.log",
    localrule: True
    conda:
        "../../envs/suite.yaml"
    params:
        needs=of_hub(config),
        target=prefetch_target,
    message:
        f"Fetching what scale {config['scale']} takes from a hub"
    script:
        "../scripts/prefetch.py"
