# All evaluations in one table, as CSV, Markdown and LaTeX, and what they say of the paper's claim.


rule tables:
    input:
        [f"{RESULTS}/evaluations/{cell.path}.json" for cell in CELLS],
    output:
        csv=report(
            f"{RESULTS}/tables/main.csv",
            category="Tables",
            labels={"table": "main", "format": "CSV"},
            caption="../report/main_table.rst",
        ),
        markdown=f"{RESULTS}/tables/main.md",
        latex=f"{RESULTS}/tables/main.tex",
        headline=f"{RESULTS}/tables/headline.json",
    log:
        f"{RESULTS}/logs/tables.log",
    conda:
        "../../envs/suite.yaml"
    params:
        models=config["grid"]["models"],
        methods=[DENSE, *config["grid"]["methods"]],
        layer_wise=[method for method in config["grid"]["methods"] if method in LAYER_WISE],
        scale=SCALE,
    message:
        "Writing the main table and the headline"
    script:
        "../scripts/tables.py"
