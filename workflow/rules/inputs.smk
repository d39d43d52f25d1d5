# Input functions of rules.


from suite.plan.calibration import corpus_of
from suite.plan.grid import taken_masks


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


def mask_inputs(*wanted):
    """Masks of other methods that a method starts from or keeps, by its setting."""

    def of_job(wildcards):
        taken = taken_masks(config, Cell.of(wildcards))
        return {
            setting: pruned(cell, "mask.safetensors")[0]
            for setting, cell in taken.items()
            if setting in wanted
        }

    return of_job


def weight_inputs(wildcards):
    """The weights that come with a kept mask; a learned mask has none."""
    source = taken_masks(config, Cell.of(wildcards)).get("mask_from")
    if source is None or source.method in TRAINED:
        return {}
    return {"weights_from": pruned(source, "weights.safetensors")[0]}


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
        "results": evaluations_of(cells),
        "answers": items_of(cells),
        "manifests": manifests_of(cells),
    }


def tracked(wildcards):
    """The results of the grid or a study, and the records of pruning and training."""
    study = "" if wildcards.cells == "grid" else wildcards.cells
    cells = cells_of(study)
    return {
        "results": frames_of(study)["frame"],
        "journals": journals_of([cell for cell in cells if cell.method in TRAINED]),
        "manifests": manifests_of(cells),
    }
