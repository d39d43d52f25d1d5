# `snakemake --cores 1 examples pattern_examples`: what is tracked in results/examples.


rule examples:
    input:
        files=[
            rules.tables.output.csv,
            rules.tables.output.markdown,
            rules.tables.output.headline,
            rules.tables.output.verdict,
            *[f"{RESULTS}/figures/{name}.svg" for name in figure_names() if name != "patterns"],
            *([rules.sweep_table.output.markdown, SWEEP_FIGURE] if "sweep" in config else []),
        ],
        evaluations=evaluations_of(CELLS),
    output:
        directory(f"results/examples/{SCALE}"),
    log:
        f"{RESULTS}/logs/examples.log",
    conda:
        "../../envs/suite.yaml"
    params:
        scale=SCALE,
    message:
        "Copying tables and figures to results/examples"
    script:
        "../scripts/examples.py"


rule pattern_examples:
    input:
        files=[
            rules.pattern_table.output.csv,
            rules.pattern_table.output.markdown,
            f"{RESULTS}/figures/patterns.svg",
        ],
        evaluations=evaluations_of(PATTERN_CELLS),
    output:
        directory(f"results/examples/{SCALE}-patterns"),
    log:
        f"{RESULTS}/logs/pattern_examples.log",
    conda:
        "../../envs/suite.yaml"
    params:
        scale=SCALE,
    message:
        "Copying the comparison of patterns to results/examples"
    script:
        "../scripts/examples.py"
