# `snakemake --cores 1 release`: masks, manifests, tables and cards, with checksums, for others.


rule release:
    input:
        manifests=files_of(PRUNED_CELLS, "manifest.json"),
        masks=files_of(PRUNED_CELLS, "mask.safetensors"),
        tables=[*rules.tables.output, *(rules.against_published.output if PUBLISHED_MODELS else [])],
    output:
        directory(f"{RESULTS}/release"),
    log:
        f"{RESULTS}/logs/release.log",
    conda:
        "../../envs/suite.yaml"
    params:
        places=[cell.path for cell in PRUNED_CELLS],
        licences={name: model.get("license", "unknown") for name, model in config["models"].items()},
    message:
        "Packing masks, manifests and tables"
    script:
        "../scripts/release.py"
