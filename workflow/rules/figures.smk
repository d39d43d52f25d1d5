# Figures, each as SVG, PDF and PNG; a figure is the function of its name in suite.figures.


rule figure_quality:
    input:
        main_csv=rules.tables.output.csv,
    output:
        report(
            f"{RESULTS}/figures/quality.svg",
            category="Figures",
            labels={"figure": "accuracy and perplexity"},
            caption="../report/quality.rst",
        ),
        f"{RESULTS}/figures/quality.pdf",
        f"{RESULTS}/figures/quality.png",
    log:
        f"{RESULTS}/logs/figures/quality.log",
    conda:
        "../../envs/suite.yaml"
    params:
        figure="quality",
    message:
        "Drawing accuracy and perplexity by method and sparsity"
    script:
        "../scripts/figures.py"


rule figure_gain:
    input:
        main_csv=rules.tables.output.csv,
    output:
        report(
            f"{RESULTS}/figures/gain.svg",
            category="Figures",
            labels={"figure": "gain over each baseline"},
            caption="../report/gain.rst",
        ),
        f"{RESULTS}/figures/gain.pdf",
        f"{RESULTS}/figures/gain.png",
    log:
        f"{RESULTS}/logs/figures/gain.log",
    conda:
        "../../envs/suite.yaml"
    params:
        figure="gain",
    message:
        "Drawing what LEAP gains over each baseline"
    script:
        "../scripts/figures.py"


rule figure_cost:
    input:
        evaluations=evaluations_of(PRUNED_CELLS),
        manifests=files_of(PRUNED_CELLS, "manifest.json"),
    output:
        report(
            f"{RESULTS}/figures/cost.svg",
            category="Figures",
            labels={"figure": "accuracy and cost"},
            caption="../report/cost.rst",
        ),
        f"{RESULTS}/figures/cost.pdf",
        f"{RESULTS}/figures/cost.png",
    log:
        f"{RESULTS}/logs/figures/cost.log",
    conda:
        "../../envs/suite.yaml"
    params:
        figure="cost",
    message:
        "Drawing accuracy against the time of pruning"
    script:
        "../scripts/figures.py"


rule figure_agreement:
    input:
        manifests=files_of(FIRST_SEEDS, "manifest.json"),
        masks=files_of(FIRST_SEEDS, "mask.safetensors"),
    output:
        report(
            f"{RESULTS}/figures/agreement.svg",
            category="Figures",
            labels={"figure": "agreement of masks"},
            caption="../report/agreement.rst",
        ),
        f"{RESULTS}/figures/agreement.pdf",
        f"{RESULTS}/figures/agreement.png",
    log:
        f"{RESULTS}/logs/figures/agreement.log",
    conda:
        "../../envs/suite.yaml"
    params:
        figure="agreement",
    message:
        "Drawing how far the masks agree"
    script:
        "../scripts/figures.py"


rule figure_density:
    input:
        manifests=files_of(LEAP_CELLS, "manifest.json"),
    output:
        report(
            f"{RESULTS}/figures/density.svg",
            category="Figures",
            labels={"figure": "density by layer"},
            caption="../report/density.rst",
        ),
        f"{RESULTS}/figures/density.pdf",
        f"{RESULTS}/figures/density.png",
    log:
        f"{RESULTS}/logs/figures/density.log",
    conda:
        "../../envs/suite.yaml"
    params:
        figure="density",
    message:
        "Drawing where LEAP keeps weights"
    script:
        "../scripts/figures.py"


rule figure_training:
    input:
        journals=[f"{RESULTS}/journals/train/{cell.path}.jsonl" for cell in LEAP_CELLS],
    output:
        report(
            f"{RESULTS}/figures/training.svg",
            category="Figures",
            labels={"figure": "training"},
            caption="../report/training.rst",
        ),
        f"{RESULTS}/figures/training.pdf",
        f"{RESULTS}/figures/training.png",
    log:
        f"{RESULTS}/logs/figures/training.log",
    conda:
        "../../envs/suite.yaml"
    params:
        figure="training",
    message:
        "Drawing the course of the trainings"
    script:
        "../scripts/figures.py"
