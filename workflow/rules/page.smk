# report.html: verdicts, tables, models, figures, settings and provenance in one file.

TEMPLATES = list(Path(HERE, "workflow/suite/report/page").glob("*.j2"))


rule page:
    input:
        evaluations=evaluations_of(CELLS),
        manifests=files_of(PRUNED, "manifest.json"),
        journals=journals_of(OF_LEAP),
        headline=rules.tables.output.headline,
        figures=[formats(name)[0] for name in SHOWN],
        tables=[rules.tables.output.csv, rules.tables.output.latex, rules.tables.output.tabular],
    output:
        f"{RESULTS}/report.html",
    log:
        f"{RESULTS}/logs/page.log",
    localrule: True
    conda:
        "../../envs/suite.yaml"
    params:
        scale=SCALE,
        about=config["about"],
        note=NOTE,
        places=[cell.path for cell in PRUNED],
        compare=bool(PUBLISHED),
        captions=SHOWN,
        settings=shown_settings(config),
        recipes=lambda wildcards: recipes_of(CELLS),
        code=shown("report.page.write", data=[CAPTIONS, *NUMBERS, *TEMPLATES]),
    message:
        "Writing report.html"
    script:
        "../scripts/page.py"
