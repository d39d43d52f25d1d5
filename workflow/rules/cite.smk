# `snakemake --cores 1 cite`: BibTeX of what the run uses. It needs no results.

CITED = used_methods({cell.method for cell in EVERY_PRUNED_CELL}, config)


rule cite:
    input:
        # an edited entry is written again
        [f"{workflow.basedir}/workflow/suite/report/references.bib", *map(schema_file, CITED)],
    output:
        f"{RESULTS}/references.bib",
    log:
        f"{RESULTS}/logs/cite.log",
    conda:
        "../../envs/suite.yaml"
    params:
        scale=SCALE,
        methods=CITED,
        needs=of_hub(config),
    message:
        "Writing references.bib"
    script:
        "../scripts/cite.py"
