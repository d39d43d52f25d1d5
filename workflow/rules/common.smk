# Functions of wildcards that give rules their inputs and parameters.


def recipe(kind):
    """The recipe of a job's result: `masks`, `selection`, `checkpoint`, `evaluation`, ..."""
    return lambda wildcards: getattr(RECIPES, kind)(Cell.of(wildcards))


def asks(stage, name):
    """What a stage asks for, by its model's size; more after a failure, as clusters repeat jobs.

    A training resumes, so that its next attempt needs no longer runtime.
    """
    grows = name == "mem_mb" or (name == "runtime" and stage != "train")

    def of_job(wildcards, attempt):
        own = config["models"][wildcards.model].get("resources", {}).get(stage, {})
        value = {**config["resources"][stage], **own}[name]
        return value * attempt if grows else value

    return of_job


def resources_of(stage):
    """The resources of a stage, each as it is asked for."""
    return {name: asks(stage, name) for name in config["resources"][stage] if name != "threads"}


def one_of(names):
    """A wildcard's constraint: one of these names, or nothing at all."""
    return "|".join(map(re.escape, names)) or "(?!)"


def methods_of(*implementations):
    """A wildcard's constraint: the configured methods that are these, or variants of them."""
    return one_of([n for n, known in config["implementations"].items() if known in implementations])


def formats(figure):
    """The files of a figure."""
    return [f"{RESULTS}/figures/{figure}.{suffix}" for suffix in ("svg", "pdf", "png")]


def lasting(path, kind):
    """An output that is deleted after its last use where `keep` says so."""
    return path if config["keep"][kind] else temp(path)


def files_of(cells, name):
    """One file of every cell's hardened checkpoint."""
    return [f"{RESULTS}/hardened/{cell.path}/{name}" for cell in cells]


def evaluations_of(cells):
    """The evaluation of every cell."""
    return [f"{RESULTS}/evaluations/{cell.path}.json" for cell in cells]


def items_of(cells):
    """The items of every evaluation."""
    return [f"{RESULTS}/items/{cell.path}.csv.gz" for cell in cells]


def manifests_of(cells):
    """The manifest of every cell that is pruned."""
    return files_of([cell for cell in cells if cell.method != DENSE], "manifest.json")


def journals_of(cells):
    """The journal of every cell's training."""
    return [f"{RESULTS}/journals/train/{cell.path}.jsonl" for cell in cells]


def text_inputs(wildcards):
    """The miniature world, for corpora whose text comes from it."""
    if wildcards.corpus not in config["corpora"]:
        raise WorkflowError(
            f"corpora.{wildcards.corpus}: scale {config['scale']} has no such corpus; add it under corpora"
        )
    text = config["corpora"][wildcards.corpus]["text"]
    return rules.miniature_world.output.index if "miniature" in text else []


def calibration_input(wildcards):
    """The corpus that a layer-wise method is calibrated on."""
    corpus = corpus_of(config["methods"][wildcards.method])
    return f"{RESULTS}/corpora/{wildcards.model}/{corpus}.safetensors"


def task_inputs(wildcards):
    """The miniature world, where the tasks are its tasks."""
    return rules.miniature_world.output.index if has_generated_tasks(config) else []


def in_domain_inputs(wildcards):
    """The corpus of the second perplexity, if the scale has one."""
    found = f"{RESULTS}/corpora/{wildcards.model}/in_domain.safetensors"
    return found if "in_domain" in config["corpora"] else []


def checkpoint_inputs(wildcards):
    """The hardened checkpoint; none for dense, which is read from the model's own folder."""
    if wildcards.method == DENSE:
        return []
    names = ("manifest.json", "config.json", "model.safetensors", "mask.safetensors")
    return files_of_cell("hardened", Cell.of(wildcards), *names)


def pruned_inputs(wildcards):
    """What a method left behind: masks, a report, and new weights or how the masks were chosen."""
    if wildcards.method in LEARN_MASKS:
        names = {"report": "training.json", "choice": "choice.json"}
    else:
        names = {"report": "pruning.json", "weights": "weights.safetensors"}
    names["mask"] = "mask.safetensors"
    return dict(zip(names, files_of_cell("pruned", Cell.of(wildcards), *names.values())))


def mask_inputs(*wanted):
    """The masks of other methods that a job starts from or keeps to, by setting."""

    def of_job(wildcards):
        taken = taken_masks(config, Cell.of(wildcards))
        return {
            setting: files_of_cell("pruned", cell, "mask.safetensors")[0]
            for setting, cell in taken.items()
            if setting in wanted
        }

    return of_job


def weight_inputs(wildcards):
    """The weights that come with the masks that are kept; a learned mask comes with none."""
    source = taken_masks(config, Cell.of(wildcards)).get("mask_from")
    if source is None or source.method in TRAINED:
        return {}
    return {"weights_from": files_of_cell("pruned", source, "weights.safetensors")[0]}


def files_of_cell(stage, cell, *names):
    """Files in a cell's folder of a stage."""
    return [f"{RESULTS}/{stage}/{cell.path}/{name}" for name in names]


def shown(*modules, data=()):
    """Fingerprint of modules of the suite that show results, and of how methods are described."""
    described = [METHOD_SCHEMAS, *FOLDERS.glob("*/schema.yaml")]
    return fingerprint(*(f"suite.{module}" for module in modules), data=[*described, *data])


def tracked(wildcards):
    """The results of the grid or a study, and the records of how its cells were made."""
    study = "" if wildcards.cells == "grid" else wildcards.cells
    cells = cells_of(study)
    return {
        "results": frames_of(study)["frame"],
        "journals": journals_of([cell for cell in cells if cell.method in TRAINED]),
        "manifests": manifests_of(cells),
    }


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


def told(study, name):
    """What a table or figure of this name is told beside the results."""
    section = studies.section(study, config) if study else {}
    return {
        **TOLD,
        "name": name,
        "study": section,
        "methods": studies.methods_of(study, config) if study else {},
        "points": tokens.points(study, config) if "amounts" in section else {},
    }


@cache
def recipes_mark(study):
    """What the frames carry of the recipes that they were checked against."""
    return fingerprint_of(recipes_of(study))


def files_of_table(name, function):
    """A table in each of its formats."""
    return [f"{RESULTS}/tables/{name}.{form}" for form in TABLES[function].formats]


def files_of_study(study):
    """What shows a study: its table for readers, and its figure if it has one."""
    section = studies.section(study, config)
    tables = [file for file in files_of_table(study, section["table"]) if not file.endswith(".tex")]
    return tables + (formats(study)[:1] if "figure" in section else [])
