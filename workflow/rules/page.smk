# report.html: verdicts, tables, figures, provenance and settings in one file.

import shlex

from leap_suite.plan.config import shown_settings

TEMPLATES = Path(PACKAGE, "report/page").glob("*.j2")
# what settings beside these the run has is in the page's settings
COMMAND = ["snakemake", "--cores", "all", "--config", f"scale={config['scale']}"]
COMMAND += [f"model={config['model']}"] if config.get("model") else []
COMMAND += [f"run={RUN}"] if RUN != config["scale"] else []


rule page:
    input:
        **frames_of(""),
        manifests=manifests_of(CELLS),
        figures=[formats(name)[0] for name in SHOWN],
        tables=[f"{RESULTS}/tables/{name}" for name in ("main.csv", "main.tex", "main_tabular.tex")],
        speeds=SPEEDS if config["speed"]["grid"] else [],
    output:
        f"{RESULTS}/report.html",
    log:
        f"{RESULTS}/logs/page.log",
    localrule: True
    conda:
        "../../envs/suite.yaml"
    params:
        told=lambda wildcards: told("", "main"),
        recipes=lambda wildcards: recipes_mark(""),
        places=[cell.path for cell in PRUNED],
        captions=SHOWN,
        settings=shown_settings(config),
        command=shlex.join(COMMAND),
        code=shown("report.page.write", data=[CAPTIONS, *NUMBERS, *TEMPLATES]),
    message:
        "Writing report.html"
    script:
        "../scripts/page.py"
