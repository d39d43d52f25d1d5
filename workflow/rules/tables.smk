# All evaluations in one table, as CSV, Markdown and LaTeX, and what they say of the paper's claim.


rule tables:
    input:
        evaluations=evaluations_of(CELLS),
        manifests=manifests_of(CELLS),
        answers=items_of(CELLS),
    output:
        csv=report(
            f"{RESULTS}/tables/main.csv",
            category="Tables",
            labels={"table": "main", "format": "CSV"},
            caption="../report/main_table.rst",
        ),
        markdown=f"{RESULTS}/tables/main.md",
        latex=f"{RESULTS}/tables/main.tex",
        tabular=f"{RESULTS}/tables/main_tabular.tex",
        headline=f"{RESULTS}/tables/headline.json",
        verdict=report(
            f"{RESULTS}/tables/verdict.md",
            category="Verdicts",
            labels={"table": "verdict", "format": "Markdown"},
            caption="../report/verdict.rst",
        ),
    log:
        f"{RESULTS}/logs/tables.log",
    localrule: True
    conda:
        "../../envs/suite.yaml"
    params:
        models=config["grid"]["models"],
        methods=[DENSE, *config["grid"]["methods"]],
        layer_wise=opponents(config),
        retraining=retraining_opponents(config),
        scale=SCALE,
        about=config["about"],
        note=NOTE,  # for the captions
        recipes=lambda wildcards: recipes_of(CELLS),
        compare=bool(PUBLISHED),
        code=shown("tables.main", "tables.headline", "tables.verdict", data=NUMBERS),
    message:
        "Writing the main table, the headline and the verdict"
    script:
        "../scripts/tables.py"


rule against_published:
    input:
        evaluations=evaluations_of(CELLS),
        manifests=manifests_of(CELLS),
    output:
        csv=report(
            f"{RESULTS}/tables/against_published.csv",
            category="Verdicts",
            labels={"table": "against the published numbers", "format": "CSV"},
            caption="../report/against_published.rst",
        ),
        markdown=f"{RESULTS}/tables/against_published.md",
    log:
        f"{RESULTS}/logs/against_published.log",
    localrule: True
    conda:
        "../../envs/suite.yaml"
    params:
        recipes=lambda wildcards: recipes_of(CELLS),
        code=shown("tables.against_published", data=NUMBERS),
    message:
        "Comparing with the published numbers"
    script:
        "../scripts/against_published.py"
