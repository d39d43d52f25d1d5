# `snakemake --cores all ablations`: what each part of the trained method contributes.

ABLATIONS = config.get("ablations", {})


def ablation_inputs(wildcards):
    """The evaluation of the base method and of every variant, with every model and seed."""
    if not ABLATIONS:
        raise WorkflowError(f"ablations: scale {SCALE} has none; use mini, or write some")
    return [f"{RESULTS}/evaluations/{cell.path}.json" for cell in study_cells(config, "ablations")]


rule ablations:
    input:
        ablation_inputs,
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
        base=ABLATIONS.get("base", ""),
        variants=list(ABLATIONS.get("variants", {})),
        scale=SCALE,
    message:
        "Writing the ablations' table and figure"
    script:
        "../scripts/ablations.py"
