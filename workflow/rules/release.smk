# `snakemake --cores 1 release`: masks, manifests, tables and cards, with checksums, for others.


rule release:
    input:
        manifests=files_of(EVERY_PRUNED_CELL, "manifest.json"),
        masks=files_of(EVERY_PRUNED_CELL, "mask.safetensors"),
        tables=[
            *rules.tables.output,
            *(rules.pattern_table.output if PATTERN_CELLS else []),
            *(rules.against_published.output if PUBLISHED_MODELS else []),
        ],
    output:
        directory(f"{RESULTS}/release"),
    log:
        f"{RESULTS}/logs/release.log",
    conda:
        "../../envs/suite.yaml"
    params:
        places=[cell.path for cell in EVERY_PRUNED_CELL],
        licences={name: model.get("license", "unknown") for name, model in config["models"].items()},
    message:
        "Packing masks, manifests and tables"
    script:
        "../scripts/release.py"
