# results.parquet and items.parquet: all results of the grid, or of a study, checked once. Everything
# that is shown is made of these two.


def folder_of(study):
    """Where the frames of the grid ("") or of a study lie."""
    return f"{RESULTS}/studies/{study}" if study else RESULTS


def frames_of(study):
    """The two frames."""
    folder = folder_of(study)
    return {"frame": f"{folder}/results.parquet", "answers": f"{folder}/items.parquet"}


def cells_of(study):
    """The cells of the grid or of a study."""
    try:
        return studies.cells_of(study, config) if study else CELLS
    except ConfigError as error:
        raise WorkflowError(str(error)) from None


def measure_of(study):
    """What is measured of them: test or validation."""
    return studies.section(study, config).get("measure", "test") if study else "test"


@cache
def recipes_of(study):
    """The recipe of every result, by its cell's path."""
    made = RECIPES.validation if measure_of(study) == "validation" else RECIPES.evaluation
    return {cell.path: made(cell) for cell in cells_of(study)}


def refuse_standing(cells):
    """Raise ValueError where finished results of the grid mix, before more of them are made."""
    from suite.results.collect import Files, Shown, collect
    from suite.results.mixed import refuse

    found = {}
    for cell in cells:
        evaluation = Path(evaluations_of([cell])[0])
        manifests = [Path(file) for file in manifests_of([cell])]
        if evaluation.is_file():
            kept = [file for file in manifests if file.is_file()]
            found[cell.path] = Files(evaluation, manifest=kept[0] if kept else None)
    if found:
        refuse(collect(found, Shown(tasks.shown(config))).cells)


def study_of(wildcards):
    """The study of a job, "" for the grid."""
    return wildcards.study.rpartition("/")[2]


def collected(wildcards):
    """The results, and of evaluations also their items and the manifests of what is pruned."""
    study = study_of(wildcards)
    cells = cells_of(study)
    if measure_of(study) == "validation":
        return {"results": [f"{RESULTS}/validation/{cell.path}.json" for cell in cells]}
    return {
        "results": evaluations_of(cells),
        "answers": items_of(cells),
        "manifests": manifests_of(cells),
    }


rule collect:
    input:
        unpack(collected),
    output:
        frame=f"{RESULTS}{{study}}/results.parquet",
        answers=f"{RESULTS}{{study}}/items.parquet",
    log:
        f"{RESULTS}/logs/collect{{study}}.log",
    wildcard_constraints:
        study=rf"(/studies/({one_of(STUDIES)}))?",
    localrule: True
    conda:
        "../../envs/suite.yaml"
    params:
        measure=lambda wildcards: measure_of(study_of(wildcards)),
        recipes=lambda wildcards: recipes_of(study_of(wildcards)),
        pruned=lambda wildcards: [
            cell.path for cell in cells_of(study_of(wildcards)) if cell.method != DENSE
        ],
        tasks=tasks.shown(config),
        patterns=PATTERNS,
        code=shown("results.collect", data=[Path(HERE, "workflow/schemas/evaluation.schema.yaml")]),
    message:
        "Collecting results"
    script:
        "../scripts/collect.py"
