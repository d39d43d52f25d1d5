# `snakemake --cores 1 release`: masks, manifests, tables and cards for publication, with checksums;
# kept weights only of methods that change them.

CHANGED = [cell for cell in PRUNED if cell.method in methods_that_are("changes_weights", config)]


rule release:
    input:
        **frames_of(""),
        manifests=manifests_of(CELLS),
        masks=hardened_of(PRUNED, "mask.safetensors"),
        checkpoints=hardened_of(CHANGED, "model.safetensors"),
        tables=rules.tables.input,
    output:
        directory(f"{RESULTS}/release"),
    log:
        f"{RESULTS}/logs/release.log",
    localrule: True
    conda:
        "../../envs/suite.yaml"
    params:
        places=[cell.path for cell in PRUNED],
        licences={name: model.get("license", "unknown") for name, model in config["models"].items()},
        datasets={name: task["dataset"] for name, task in config["evaluation"]["tasks"].items()},
        code=shown("report.release"),
    message:
        "Packing masks, manifests and tables"
    script:
        "../scripts/release.py"
