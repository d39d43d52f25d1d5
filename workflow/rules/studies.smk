# Studies beside the grid, each a target of its own: `snakemake --cores all patterns`, `sweep`,
# `allocation`, `opponents`, `tokens`, `ablations`, `leap_search` and so on. Its cells stand in the section of its name in
# the scale's file.

IN_STUDY = {
    study: dict(
        evaluations=of_study(study, evaluations_of),
        manifests=of_study(study, manifests_of),
        answers=of_study(study, items_of),
        recipes=of_study(study, recipes_of),
        tracking=f"{RESULTS}/tracking/{study}.json",
    )
    for study in studies.STUDIES
}


rule pattern_table:
    input:
        evaluations=IN_STUDY["patterns"]["evaluations"],
        manifests=IN_STUDY["patterns"]["manifests"],
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
    localrule: True
    conda:
        "../../envs/suite.yaml"
    params:
        patterns=lambda wildcards: studies.written_patterns(config),
        scale=SCALE,
        note=NOTE,  # for the caption
        recipes=IN_STUDY["patterns"]["recipes"],
        code=shown("tables.main"),
    message:
        "Writing the table of patterns"
    script:
        "../scripts/pattern_table.py"


rule sweep_table:
    input:
        evaluations=IN_STUDY["sweep"]["evaluations"],
        manifests=IN_STUDY["sweep"]["manifests"],
    output:
        csv=f"{RESULTS}/tables/sweep.csv",
        markdown=f"{RESULTS}/tables/sweep.md",
    log:
        f"{RESULTS}/logs/sweep_table.log",
    localrule: True
    conda:
        "../../envs/suite.yaml"
    params:
        scale=SCALE,
        recipes=IN_STUDY["sweep"]["recipes"],
        code=shown("tables.main"),
    message:
        "Writing the table of the sweep"
    script:
        "../scripts/sweep_table.py"


rule comparison_table:
    input:
        unpack(compared_inputs),
    output:
        csv=report(
            f"{RESULTS}/tables/{{study}}.csv",
            category="Tables",
            labels={"table": "{study}", "format": "CSV"},
            caption="../report/comparison.rst",
        ),
        markdown=f"{RESULTS}/tables/{{study}}.md",
    log:
        f"{RESULTS}/logs/{{study}}_table.log",
    wildcard_constraints:
        study=one_of(studies.COMPARED),
    localrule: True
    conda:
        "../../envs/suite.yaml"
    params:
        scale=SCALE,
        note=NOTE,  # for the caption
        recipes=lambda wildcards: IN_STUDY[wildcards.study]["recipes"](wildcards),
        code=shown("tables.comparison"),
    message:
        "Writing the table of study {wildcards.study}"
    script:
        "../scripts/comparison_table.py"


rule token_table:
    input:
        evaluations=IN_STUDY["tokens"]["evaluations"],
        manifests=IN_STUDY["tokens"]["manifests"],
    output:
        csv=f"{RESULTS}/tables/tokens.csv",
        markdown=f"{RESULTS}/tables/tokens.md",
    log:
        f"{RESULTS}/logs/token_table.log",
    localrule: True
    conda:
        "../../envs/suite.yaml"
    params:
        points=lambda wildcards: tokens.points(config),
        scale=SCALE,
        recipes=IN_STUDY["tokens"]["recipes"],
        code=shown("tables.tokens"),
    message:
        "Writing the table of tokens seen"
    script:
        "../scripts/token_table.py"


rule ablation_table:
    input:
        evaluations=IN_STUDY["ablations"]["evaluations"],
        manifests=IN_STUDY["ablations"]["manifests"],
    output:
        csv=f"{RESULTS}/tables/ablations.csv",
        markdown=f"{RESULTS}/tables/ablations.md",
    log:
        f"{RESULTS}/logs/ablation_table.log",
    localrule: True
    conda:
        "../../envs/suite.yaml"
    params:
        base=lambda wildcards: config["ablations"]["base"],
        variants=lambda wildcards: list(config["ablations"]["variants"]),
        scale=SCALE,
        recipes=IN_STUDY["ablations"]["recipes"],
        code=shown("tables.ablations"),
    message:
        "Writing the ablations' table"
    script:
        "../scripts/ablation_table.py"


rule patterns:
    input:
        rules.pattern_table.output,
        formats("patterns"),
        IN_STUDY["patterns"]["tracking"],
    localrule: True


rule sweep:
    input:
        rules.sweep_table.output,
        formats("sweep"),
        IN_STUDY["sweep"]["tracking"],
    localrule: True


for STUDY in studies.COMPARED:

    rule:
        name:
            STUDY
        input:
            expand(rules.comparison_table.output, study=STUDY),
            IN_STUDY[STUDY]["tracking"],
        localrule: True


rule tokens:
    input:
        rules.token_table.output,
        formats("tokens"),
        IN_STUDY["tokens"]["tracking"],
    localrule: True


rule ablations:
    input:
        rules.ablation_table.output,
        formats("ablations"),
        IN_STUDY["ablations"]["tracking"],
    localrule: True


rule validate:
    # Perplexity of text that is neither trained on nor reported; the tasks are not looked at.
    input:
        model=rules.model.output[0],
        hardened=checkpoint_inputs,
        validation=f"{RESULTS}/corpora/{{model}}/validation.safetensors",
    output:
        f"{RESULTS}/validation/{CELL}.json",
    log:
        f"{RESULTS}/logs/validate/{CELL}.log",
    conda:
        "../../envs/suite.yaml"
    threads: asks("evaluate", "threads")
    resources:
        mem_mb=asks("evaluate", "mem_mb"),
        runtime=asks("evaluate", "runtime"),
        gpu=asks("evaluate", "gpu"),
    params:
        run=RUN,
        recipe=recipe("validation"),
    message:
        "Validating {wildcards.model}, {wildcards.method} at {wildcards.sparsity}"
    script:
        "../scripts/validate.py"


for STUDY in studies.SEARCHES:

    rule:
        name:
            STUDY
        input:
            of_study(
                STUDY,
                lambda cells: [f"{RESULTS}/validation/{c.path}.json" for c in cells],
            ),
        output:
            csv=f"{RESULTS}/tables/{STUDY}.csv",
            markdown=f"{RESULTS}/tables/{STUDY}.md",
        log:
            f"{RESULTS}/logs/{STUDY}.log",
        localrule: True
        conda:
            "../../envs/suite.yaml"
        params:
            settings=lambda wildcards, output: studies.settings_of(Path(output.csv).stem, config),
            note=NOTE,
            code=shown("tables.search"),
        message:
            "Comparing settings on validation text"
        script:
            "../scripts/search.py"
