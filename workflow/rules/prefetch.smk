# `snakemake --cores 1 prefetch --config prefetch_to=DIR`: what the scale takes from a hub, for machines
# without network. It has no output, so it always runs; what is there whole is not fetched again.


rule prefetch:
    log:
        f"{RESULTS}/logs/prefetch.log",
    conda:
        "../../envs/suite.yaml"
    params:
        needs=of_hub(config),
        target=prefetch_target,
    message:
        "Fetching what scale {SCALE} takes from a hub"
    script:
        "../scripts/prefetch.py"
