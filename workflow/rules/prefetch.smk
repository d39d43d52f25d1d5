# `snakemake --cores 1 prefetch --config prefetch_to=DIR`: what the scale takes from a hub, for machines
# without network. It has no output, so it always runs; what is there whole is not fetched again.


def prefetch_target(wildcards):
    """The folder to fill."""
    if not config.get("prefetch_to"):
        raise WorkflowError("prefetch_to: say where, as in --config prefetch_to=DIR")
    return config["prefetch_to"]


rule prefetch:
    localrule: True
    log:
        f"{RESULTS}/logs/prefetch.log",
    conda:
        "../../envs/suite.yaml"
    params:
        needs=of_hub(config),
        target=prefetch_target,
    message:
        f"Fetching what scale {config['scale']} takes from a hub"
    script:
        "../scripts/prefetch.py"
