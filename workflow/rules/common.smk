# Functions of wildcards that give rules their inputs and parameters.

IMPLEMENTATIONS = config["implementations"]
TRAINED = sorted(methods_that_are("trained", config))
STOCHASTIC = methods_that_are("stochastic", config)
LAYER_WISE = sorted(set(IMPLEMENTATIONS) - set(TRAINED))
PUBLISHED_MODELS = sorted(set(config["grid"]["models"]) & published_models())

PRUNED_CELLS = [cell for cell in CELLS if cell.method != DENSE]
FIRST_SEEDS = [cell for cell in PRUNED_CELLS if cell.seed == config["grid"]["seeds"][0]]
EVERY_CELL = list(dict.fromkeys([*CELLS, *PATTERN_CELLS]))
EVERY_PRUNED_CELL = [cell for cell in EVERY_CELL if cell.method != DENSE]
LEAP_CELLS = [cell for cell in FIRST_SEEDS if cell.method == LEAP]


def method_patterns():
    """How the table of patterns writes the pattern of each of its methods."""
    written = {DENSE: "dense"}
    for name in config.get("patterns", {}).get("methods", {}):
        settings = config["methods"][name]
        pattern = pattern_of(settings) or "free"
        written[name] = f"dense or {pattern}" if "tile" in settings else pattern
    return written


def figure_names():
    """The figures that this grid has cells for, in the order of the report."""
    names = ["quality"]
    if LEAP_CELLS:
        names += ["gain"] if len(FIRST_SEEDS) > len(LEAP_CELLS) else []
        names += ["density", "training"]
    if PRUNED_CELLS:
        names += ["agreement", "cost"]
    if PATTERN_CELLS:
        names += ["patterns"]
    return names


def figures():
    """Every figure in every format."""
    formats = ("svg", "pdf", "png")
    return [f"{RESULTS}/figures/{name}.{form}" for name in figure_names() for form in formats]


def page_settings():
    """What the report shows of the configuration: all that has a say in results."""
    no_settings = ("implementations", "hub_mirror", "prefetch_to", "jobs_per_gpu", "tracking")
    hidden = (*no_settings, *STUDIES, "sweep")
    return {key: value for key, value in config.items() if key not in hidden}


def files_of(cells, name):
    """One file of every cell's hardened checkpoint."""
    return [f"{RESULTS}/hardened/{cell.path}/{name}" for cell in cells]


def evaluations_of(cells):
    """The evaluation of every cell."""
    return [f"{RESULTS}/evaluations/{cell.path}.json" for cell in cells]


def one_of(names):
    """A wildcard's constraint: one of these names, or nothing at all."""
    return "|".join(map(re.escape, names)) or "(?!)"


def cell_of(wildcards):
    """What identifies the cell of a job, for its manifest, evaluation and run."""
    return {
        "scale": SCALE,
        "model": wildcards.model,
        "method": wildcards.method,
        "sparsity": wildcards.sparsity,
        "seed": int(wildcards.seed.rpartition("-")[2] or 0),
    }


def model_settings(wildcards):
    """What decides a dense model; its licence is for readers only."""
    settings = config["models"][wildcards.model]
    return {key: settings[key] for key in ("source", "dtype", "bos")}


def text_setting(wildcards):
    """The corpus' text, with the miniature world's texts as files."""
    text = config["corpora"][wildcards.corpus]["text"]
    if "miniature" in text:
        return {"file": f"{RESULTS}/world/text/{text['miniature']}.jsonl"}
    return text


def text_inputs(wildcards):
    """The miniature world's folder, for corpora whose text comes from it."""
    text = config["corpora"][wildcards.corpus]["text"]
    return f"{RESULTS}/world" if "miniature" in text else []


def checkpoint_inputs(wildcards):
    """The hardened checkpoint; none for dense, which is read from the model's own folder."""
    if wildcards.method == DENSE:
        return []
    folder = f"{RESULTS}/hardened/{wildcards.model}/{wildcards.method}/{wildcards.sparsity}"
    names = ("manifest.json", "config.json", "model.safetensors", "mask.safetensors")
    return [f"{folder}{wildcards.seed}/{name}" for name in names]


def method_code(wildcards):
    """The files whose edit makes a method's results out of date."""
    implementation = IMPLEMENTATIONS[wildcards.method]
    if wildcards.method in LAYER_WISE:
        shared = ("hessian", "replay", "selection", "sequential", "statistics")
        runs_it = driver(config["methods"][wildcards.method])
        parts = dict.fromkeys([implementation, *shared, runs_it])
        return [os.path.join(workflow.basedir, "baselines", f"{part}.py") for part in parts]
    trainer = ("data", "gated", "objective", "relaxation", "schedule", "seeds", "training")
    shared = {"maskllm": ["patterns"], "patch": ["patterns", "tiles"]}.get(implementation, [])
    parts = [f"parameterisations/{implementation}", *trainer, *shared]
    return [os.path.join(workflow.basedir, "leap", f"{part}.py") for part in parts]


def pruned_inputs(wildcards):
    """What a method left behind: masks, a report, and new weights or how the masks were chosen."""
    folder = f"{RESULTS}/pruned/{wildcards.model}/{wildcards.method}/{wildcards.sparsity}"
    folder += wildcards.seed
    if wildcards.method in TRAINED:
        names = {"report": "training.json", "choice": "choice.json"}
    else:
        names = {"report": "pruning.json", "weights": "weights.safetensors"}
    names["mask"] = "mask.safetensors"
    return {key: f"{folder}/{name}" for key, name in names.items()}


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


def lasting(path, kind):
    """An output that is deleted after its last use where `keep` says so."""
    return path if config["keep"][kind] else temp(path)


def prior_mask(wildcards):
    """The one-shot masks that a training starts from; nothing for a random start."""
    start = config["methods"][wildcards.method]["warm_start"]
    if start == "random":
        return {}
    # the masks of the first seed, for layer-wise methods that depend on one
    folder = f"{RESULTS}/pruned/{wildcards.model}/{start}/{wildcards.sparsity}"
    return {"prior": f"{folder}/mask.safetensors"}


def sparse_masks(wildcards):
    """The N:M masks of the tiles that are not dense, for a method that has such tiles."""
    settings = config["methods"][wildcards.method]
    start = settings.get("sparse_masks", "random")
    if start == "random":
        return {}
    folder = f"{RESULTS}/pruned/{wildcards.model}/{start}/{sparsity_of(settings['pattern'])}"
    return {"sparse": f"{folder}/mask.safetensors"}


def pruning_settings(wildcards):
    """A layer-wise method's settings; a stochastic one gets the cell's seed."""
    settings = config["methods"][wildcards.method]
    if wildcards.method in STOCHASTIC:
        return {**settings, "seed": cell_of(wildcards)["seed"]}
    return settings


def training_settings(wildcards):
    """A trained method's settings; how masks are selected later does not change them."""
    settings = config["methods"][wildcards.method]
    return {key: value for key, value in settings.items() if key != "selection"}


def task_inputs(wildcards):
    """The miniature world, where the tasks are its tasks."""
    miniature = any(
        task["task"].startswith("mini_") for task in config["evaluation"]["tasks"].values()
    )
    return f"{RESULTS}/world" if miniature else []


def study_inputs(study, stage):
    """Files of a stage for the base method and every variant of a study, by model and seed."""

    def of_all_cells(wildcards):
        if study not in config:
            raise WorkflowError(f"{study}: scale {SCALE} has none; use mini, or write one")
        return [f"{RESULTS}/{stage}/{cell.path}.json" for cell in study_cells(config, study)]

    return of_all_cells


def sweep_evaluations(wildcards):
    """The evaluation of every cell of the sweep."""
    if "sweep" not in config:
        raise WorkflowError(f"sweep: scale {SCALE} has none; use mini, or write one")
    return evaluations_of(cells({**config, "grid": config["sweep"]}, STOCHASTIC))


def journals(wildcards):
    """The journal of every job of prune, train, harden and evaluate."""
    return [
        f"{RESULTS}/journals/{stage}/{cell.path}.jsonl"
        for cell in EVERY_CELL
        for stage in stages(cell)
    ]


def stages(cell):
    """The jobs that lead to a cell's evaluation, and that are recorded."""
    if cell.method == DENSE:
        return ["evaluate"]
    return ["train" if cell.method in TRAINED else "prune", "harden", "evaluate"]


def prefetch_target(wildcards):
    """The folder that the target `prefetch` fills."""
    if not config.get("prefetch_to"):
        raise WorkflowError("prefetch_to: say where, as in --config prefetch_to=DIR")
    return config["prefetch_to"]
