"""Training of one cell's masks or weights: model and corpus in, learned tensors and a report out.

Learned masks are written as `logits.safetensors` (float32, by layer and part, see
`leap.methods.parameterisation.key`) and `training.json`; learned weights as a layer-wise method
writes them, `weights.safetensors`, `mask.safetensors` and `pruning.json`. The report has
implementation, recipe, corpus, execution and cost. Several processes may run this together,
started by torchrun; the first one writes.
"""

import shutil
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from leap_suite.artifacts.files import read_json, write_json
from leap_suite.artifacts.masks import mask_hash, save_masks
from leap_suite.artifacts.tensors import load_kept, load_masks, save_tensors
from leap_suite.jobs.gpu_memory import first_that_fits
from leap_suite.jobs.precision import compute_dtype
from leap_suite.jobs.provenance import Meter, choose_device, compute_setting
from leap_suite.plan.cell import Cell
from leap_suite.stages import corpora, models
from leap_suite.tracking.journal import open_journal
from leap_suite.tracking.watch import Watch

if TYPE_CHECKING:
    from leap.execution import Execution

# Trains a model on token blocks, with keywords of `leap.learn_masks` for how, and writes the result
# in the first process; returns its part of the report
_Learn = Callable[..., dict[str, Any]]


@dataclass(frozen=True)
class Training:
    """What a cell's training reads and writes, and how it may be computed.

    run: the run's name. recipe: of the cell's masks (see `leap_suite.plan.recipe`). state: the
    folder of an unfinished training, deleted at the end. executions: tried in order until one fits
    into GPU memory, which the report names. outputs: `report`, `journal`, and `logits`, or
    `weights` and `mask`.
    """

    model: Path
    corpus: Path
    cell: Cell
    run: str
    recipe: Mapping[str, Any]
    state: Path
    executions: "Sequence[Execution]"
    outputs: Mapping[str, str]


def train_masks(training: Training, masks: Mapping[str, Path]) -> None:
    """Train the cell's masks, or resume their training.

    `masks` are files of masks: the `warm_start` that logits begin with, and PATCH's N:M masks
    `sparse_masks`. Raises ValueError where the model or the corpus was made by another recipe, and
    for unusable settings, data or states (see `leap.training.masks`).
    """
    from leap.distributed import parallel
    from leap.methods.parameterisation import load
    from leap.settings import Settings, make_settings
    from leap.training.masks import learn_masks

    values, cell = training.recipe["method"], training.cell
    settings = make_settings(Settings, values, cell.target, cell.seed)

    def learn(model: Any, blocks_ST: Any, **how: Any) -> dict[str, Any]:
        given = {name: load_masks(file) for name, file in masks.items()}
        prior, sparse = given.get("warm_start"), given.get("sparse_masks")
        gate = load(training.recipe["implementation"]).from_settings(values)
        how |= {"parameterisation": gate, "sparse": sparse}
        learned = learn_masks(model, blocks_ST, settings, prior, **how)
        if parallel.rank() == 0:
            save_tensors(learned.logits, training.outputs["logits"])
        return {
            "settings": {**values, **asdict(settings)},
            "layers": dict(learned.shapes),
            "prior_mask_sha256": mask_hash(prior) if prior else "",
            "prior_calibration": _calibration(masks["warm_start"]) if prior else {},
            "sparse_mask_sha256": mask_hash(sparse) if sparse else "",
        }

    _run(training, learn)


def train_weights(training: Training, taken: Mapping[str, Path]) -> None:
    """Train the cell's weights, or resume their training.

    `taken` are files of the method whose mask is kept, `mask_from` and its `weights_from`, if any.
    Weights are written in the dtype of the model's checkpoint. Raises ValueError where the model or
    the corpus was made by another recipe, and for unusable settings, data, masks or states (see
    `leap.training.weights`).
    """
    import torch

    from leap.distributed import parallel
    from leap.settings import make_settings

    values, cell = training.recipe["method"], training.cell
    module = import_module(f"leap.methods.{training.recipe['implementation']}")
    settings = make_settings(module.Settings, values, cell.target, cell.seed)

    def learn(model: Any, blocks_ST: Any, **how: Any) -> dict[str, Any]:
        if "mask_from" in taken:
            masks, start = load_kept(taken)
            how |= {"masks": masks, "start": start}
        learned = module.learn_weights(model, blocks_ST, settings, **how)
        if parallel.rank() == 0:
            dtype = getattr(torch, models.describe(training.model)["dtype"])
            weights = {f"{name}.weight": x.to(dtype) for name, x in learned.weights.items()}
            weights |= {name: x.to(dtype) for name, x in learned.others.items()}
            save_tensors(weights, training.outputs["weights"])
            save_masks(learned.masks, training.outputs["mask"])
        return {"settings": asdict(settings)}

    _run(training, learn)


def _run(training: Training, learn: _Learn) -> None:
    """`learn` with the first execution that fits, write the report and delete the state."""
    from leap.distributed import parallel

    meter = Meter()
    parallel.start()
    report = first_that_fits(training.executions, partial(_attempt, training, learn, meter))
    if parallel.rank() == 0:
        write_json(training.outputs["report"], report)
        shutil.rmtree(training.state, ignore_errors=True)


def _attempt(
    training: Training, learn: _Learn, meter: Meter, execution: "Execution"
) -> dict[str, Any]:
    """Load the model and the corpus and `learn`; return the report."""
    import torch

    from leap.distributed import parallel

    recipe, path = training.recipe, training.outputs["journal"]
    values, first = recipe["method"], parallel.rank() == 0
    journal = open_journal(path, training.run, training.cell, values) if first else nullcontext()
    with journal as record:
        device = choose_device()
        described = models.describe(training.model, recipe["model"])
        dtype = compute_dtype(described["dtype"], device)
        checkpoint = models.intact_checkpoint(training.model)
        blocks_ST, corpus = corpora.read(training.corpus, recipe["training"])
        model = models.load_model(checkpoint, dtype, device)
        watch = Watch(values["steps"], record)
        how = {"execution": execution, "state": training.state, "report": watch.report}
        own = learn(model, torch.from_numpy(blocks_ST), **how)
    return {
        "implementation": recipe["implementation"],
        "recipe": dict(recipe),
        **own,
        "training": corpus,
        "processes": parallel.world_size(),
        "execution": {**asdict(execution), "out_of_memory": training.executions.index(execution)},
        **compute_setting(dtype, device, model),
        # the steps of all attempts, where the job was interrupted
        "cost": {**meter.read(), "training_seconds": round(watch.seconds, 3)},
        "events": [],
    }


def _calibration(mask: Path) -> dict[str, Any]:
    """Calibration corpus of a mask, from its method's report; empty for a method with a rule."""
    found: dict[str, Any] = read_json(mask.with_name("pruning.json")).get("calibration", {})
    return found
