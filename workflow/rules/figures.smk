# Figures, each as SVG, PDF and PNG.


rule figures:
    input:
        rules.tables.output.csv,
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
        f"{RESULTS}/logs/figures.log",
    conda:
        "../../envs/suite.yaml"
    message:
        "Drawing accuracy and perplexity by method and sparsity"
    script:
        "../scripts/figures.py"
