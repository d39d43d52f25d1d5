# Input functions of rules.


from leap_suite.plan.calibration import corpus_of
from leap_suite.plan.grid import taken_masks


def text_inputs(wildcards):
    """The miniature world, for corpora with text of it."""
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


def taken_inputs(wildcards):
    """Masks of other methods by the setting that names them, and the weights of a kept mask."""
    taken = taken_masks(config, Cell.of(wildcards))
    files = {name: pruned(cell, "mask.safetensors")[0] for name, cell in taken.items()}
    if "mask_from" in taken and taken["mask_from"].method not in LEARN_MASKS:
        files["weights_from"] = pruned(taken["mask_from"], "weights.safetensors")[0]
    return files


def sparse_masks(wildcards):
    """The masks inside the sparse tiles of a method that selects tiles."""
    return {name: file for name, file in taken_inputs(wildcards).items() if name == "sparse_masks"}


def pruned_inputs(wildcards):
    """A method's masks and report, and its weights or how its masks were selected."""
    if wildcards.method in LEARN_MASKS:
        names = {"report": "training.json", "choice": "choice.json"}
    else:
        names = {"report": "pruning.json", "weights": "weights.safetensors"}
    names["mask"] = "mask.safetensors"
    return dict(zip(names, pruned(Cell.of(wildcards), *names.values())))


def checkpoint_inputs(wildcards):
    """The hardened checkpoint; none for dense, which is read from the model's folder."""
    if wildcards.method == DENSE:
        return []
    names = ("manifest.json", "config.json", "model.safetensors", "mask.safetensors")
    return [file for name in names for file in hardened_of([Cell.of(wildcards)], name)]


def cells_of(study):
    """The cells of a study, or of the grid ("")."""
    try:
        return studies.cells_of(study, config) if study else CELLS
    except ValueError as error:
        raise WorkflowError(str(error)) from None


def study_of(wildcards):
    """The study of a job, or the grid ("")."""
    return wildcards.study.rpartition("/")[2]


def measure_of(study):
    """`test` or `validation`."""
    return studies.section(study, config).get("measure", "test") if study else "test"


def collected(wildcards):
    """Results of all cells; of evaluations also items and manifests."""
    study = study_of(wildcards)
    cells = cells_of(study)
    if measure_of(study) == "validation":
        return {"results": of_each(cells, "validation/{}.json")}
    return {
        "results": of_each(cells, "evaluations/{}.json"),
        "answers": of_each(cells, "items/{}.csv.gz"),
        "manifests": manifests_of(cells),
    }


def tracked(wildcards):
    """The results of the grid or a study, and the records of pruning and training."""
    study = "" if wildcards.cells == "grid" else wildcards.cells
    cells = cells_of(study)
    trained = [cell for cell in cells if cell.method in TRAINED]
    return {
        "results": frames_of(study)["frame"],
        "journals": of_each(trained, "journals/train/{}.jsonl"),
        "manifests": manifests_of(cells),
    }
