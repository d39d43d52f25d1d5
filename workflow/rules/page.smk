# report.html: verdicts, tables, figures, settings and provenance in one file.


rule page:
    input:
        evaluations=evaluations_of(EVERY_CELL),
        manifests=files_of(EVERY_PRUNED_CELL, "manifest.json"),
        headline=rules.tables.output.headline,
        published=f"{workflow.basedir}/results/published/leap.csv",
        figures=[file for file in figures() if file.endswith(".svg")],
        captions=[f"{workflow.basedir}/workflow/report/{name}.rst" for name in figure_names()],
    output:
        f"{RESULTS}/report.html",
    log:
        f"{RESULTS}/logs/page.log",
    conda:
        "../../envs/suite.yaml"
    params:
        scale=SCALE,
        about=config["about"],
        places=[cell.path for cell in EVERY_PRUNED_CELL],
        compare=bool(PUBLISHED_MODELS),
        settings=page_settings(),
    message:
        "Writing report.html"
    script:
        "../scripts/page.py"
