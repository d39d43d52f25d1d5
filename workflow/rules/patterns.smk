# What the freedom of the pattern buys: unstructured, N:M, and tiles of both.


rule pattern_table:
    input:
        evaluations=evaluations_of(PATTERN_CELLS),
    output:
        csv=report(
            f"{RESULTS}/tables/patterns.csv",
            category="Tables",
            labels={"table": "patterns", "format": "CSV"},
            caption="../report/patterns.rst",
        ),
        markdown=f"{RESULTS}/tables/patterns.md",
        latex=f"{RESULTS}/tables/patterns.tex",
    log:
        f"{RESULTS}/logs/pattern_table.log",
    conda:
        "../../envs/suite.yaml"
    params:
        patterns=method_patterns(),
        scale=SCALE,
    message:
        "Writing the table of patterns"
    script:
        "../scripts/pattern_table.py"


rule figure_patterns:
    input:
        patterns_csv=rules.pattern_table.output.csv,
    output:
        report(
            f"{RESULTS}/figures/patterns.svg",
            category="Figures",
            labels={"figure": "patterns"},
            caption="../report/patterns.rst",
        ),
        f"{RESULTS}/figures/patterns.pdf",
        f"{RESULTS}/figures/patterns.png",
    log:
        f"{RESULTS}/logs/figures/patterns.log",
    conda:
        "../../envs/suite.yaml"
    params:
        figure="patterns",
    message:
        "Drawing accuracy against density, by pattern"
    script:
        "../scripts/figures.py"
