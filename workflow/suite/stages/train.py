"""One cell's training: model, corpus and one-shot masks in, logits out.

Writes `logits.safetensors` (float32, by layer and part, see `leap.parameterisation.key`) and
`training.json` (implementation, settings, layers with their shapes, corpus, cost).
Several processes may run this together, started by torchrun; the first one writes.
"""

import shutil
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from suite.artifacts.files import write_json
from suite.artifacts.masks import mask_hash
from suite.artifacts.tensors import load_masks, save_tensors
from suite.jobs.precision import compute_dtype
from suite.jobs.provenance import Meter, choose_device, compute_setting
from suite.plan.cell import Cell
from suite.stages import corpora, models
from suite.tracking.run import open_run
from suite.tracking.watch import Watch

if TYPE_CHECKING:
    from leap.execution import Execution


def learn(
    model_directory: Path,
    corpus: Path,
    masks: Mapping[str, Path],
    cell: Cell,
    run_name: str,
    recipe: Mapping[str, Any],
    state: Path,
    execution: "Execution",
    outputs: Mapping[str, str],
) -> None:
    """Train the cell's masks, or finish a training whose state is in the folder `state`.

    `masks` are files of masks: the `warm_start` that logits begin with, and PATCH's N:M masks
    `sparse_masks`. `recipe` is that of the cell's logits (see `suite.plan.recipe`). Writes the
    outputs `logits`, `report` and `journal`, then deletes the state. Raises ValueError where the
    model or the corpus was made by another recipe, and for unusable settings, data or states (see
    `leap.training`).
    """
    import torch

    from leap import parallel
    from leap.parameterisation import load
    from leap.settings import trainer_settings
    from leap.training import learn_masks

    meter = Meter()
    parallel.start()
    first = parallel.rank() == 0
    values, implementation = recipe["method"], recipe["implementation"]
    settings = trainer_settings(values, cell.target, cell.seed)
    journal = open_run(outputs["journal"], "train", run_name, cell, values) if first else None
    with journal or nullcontext() as run:
        device = choose_device()
        dtype = compute_dtype(models.describe(model_directory, recipe["model"])["dtype"], device)
        checkpoint = models.intact_checkpoint(model_directory)
        blocks_ST, described = corpora.read(corpus, recipe["training"])
        model = models.load_model(checkpoint, dtype, device)
        given = {name: load_masks(file) for name, file in masks.items()}
        prior, sparse = given.get("warm_start"), given.get("sparse_masks")
        watch = Watch(settings.steps, run)
        learned = learn_masks(
            model, torch.from_numpy(blocks_ST), settings, prior,
            parameterisation=load(implementation).from_settings(values), sparse=sparse,
            execution=execution, state=state, report=watch.report,
        )  # fmt: skip
        if run is None:
            return
        save_tensors(learned.logits, outputs["logits"])
        # the steps of all attempts, where the job was interrupted
        cost = {**meter.read(), "training_seconds": round(watch.seconds, 3)}
        write_json(
            outputs["report"],
            {
                "implementation": implementation,
                "recipe": dict(recipe),
                "settings": {**values, **asdict(settings)},
                "layers": dict(learned.shapes),
                "training": described,
                "prior_mask_sha256": mask_hash(prior) if prior else "",
                "sparse_mask_sha256": mask_hash(sparse) if sparse else "",
                "processes": parallel.world_size(),
                "execution": asdict(execution),
                **compute_setting(dtype, device, model),
                "cost": cost,
                "events": [],
            },
        )
        run.metrics(cost)
        run.artifact(outputs["report"])
    shutil.rmtree(state, ignore_errors=True)
