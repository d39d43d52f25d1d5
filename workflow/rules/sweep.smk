# `snakemake --cores all sweep`: quality against many sparsities, from 0.4 to 0.8 on a miniature.

SWEEP_FIGURE = f"{RESULTS}/figures/sweep.svg"


rule sweep_table:
    input:
        sweep_evaluations,
    output:
        csv=f"{RESULTS}/tables/sweep.csv",
        markdown=f"{RESULTS}/tables/sweep.md",
    log:
        f"{RESULTS}/logs/sweep_table.log",
    conda:
        "../../envs/suite.yaml"
    params:
        scale=SCALE,
    message:
        "Writing the table of the sweep"
    script:
        "../scripts/sweep_table.py"


rule sweep:
    input:
        main_csv=rules.sweep_table.output.csv,
    output:
        report(
            SWEEP_FIGURE,
            category="Figures",
            labels={"figure": "many sparsities"},
            caption="../report/sweep.rst",
        ),
        f"{RESULTS}/figures/sweep.pdf",
        f"{RESULTS}/figures/sweep.png",
    log:
        f"{RESULTS}/logs/figures/sweep.log",
    conda:
        "../../envs/suite.yaml"
    params:
        figure="quality",
    message:
        "Drawing the sweep"
    script:
        "../scripts/figures.py"
