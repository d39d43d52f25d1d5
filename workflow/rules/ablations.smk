# `snakemake --cores all ablations`: what each part of the trained method contributes.


rule ablations:
    input:
        study_inputs("ablations", "evaluations"),
    output:
        csv=f"{RESULTS}/tables/ablations.csv",
        markdown=f"{RESULTS}/tables/ablations.md",
        svg=report(
            f"{RESULTS}/figures/ablations.svg",
            category="Figures",
            labels={"figure": "ablations"},
            caption="../report/ablations.rst",
        ),
        pdf=f"{RESULTS}/figures/ablations.pdf",
        png=f"{RESULTS}/figures/ablations.png",
    log:
        f"{RESULTS}/logs/ablations.log",
    conda:
        "../../envs/suite.yaml"
    params:
        base=lambda wildcards: config["ablations"]["base"],
        variants=lambda wildcards: list(config["ablations"]["variants"]),
        scale=SCALE,
    message:
        "Writing the ablations' table and figure"
    script:
        "../scripts/ablations.py"
