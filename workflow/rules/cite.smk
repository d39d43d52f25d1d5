# `snakemake --cores 1 cite`: BibTeX of the run's methods, tasks and texts, without any results.

from leap_suite.plan.methods import used_methods


rule cite:
    output:
        f"{RESULTS}/references.bib",
    log:
        f"{RESULTS}/logs/cite.log",
    localrule: True
    conda:
        "../../envs/suite.yaml"
    params:
        scale=SCALE,
        methods=used_methods({cell.method for cell in PRUNED}, config),
        needs=of_hub(config),
        # an edited entry is written again
        code=shown("report.cite", data=[Path(PACKAGE, "report/references.bib")]),
    message:
        "Writing references.bib"
    script:
        "../scripts/cite.py"
