# `snakemake --cores 1 examples`: the tables and figures that are tracked in results/examples.


rule examples:
    input:
        files=[
            rules.tables.output.csv,
            rules.tables.output.markdown,
            rules.tables.output.headline,
            rules.tables.output.verdict,
            *[file for file in figures() if file.endswith(".svg")],
            *(
                [rules.pattern_table.output.csv, rules.pattern_table.output.markdown]
                if PATTERN_CELLS
                else []
            ),
            *([rules.sweep_table.output.markdown, SWEEP_FIGURE] if "sweep" in config else []),
        ],
        evaluations=evaluations_of(EVERY_CELL),
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
