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


def prefetch_target(wildcards):
    """The folder that the target `prefetch` fills."""
    if not config.get("prefetch_to"):
        raise WorkflowError("prefetch_to: say where, as in --config prefetch_to=DIR")
    return config["prefetch_to"]
