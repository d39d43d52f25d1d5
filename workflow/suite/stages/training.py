"""What every training's job does, whatever is learned: model and corpus in, journal and report out.

The report says implementation, recipe, corpus, execution and cost, and what the training itself has
to say. Several processes may run this together, started by torchrun; the first one writes.
"""

import shutil
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from suite.artifacts.files import write_json
from suite.jobs.precision import compute_dtype
from suite.jobs.provenance import Meter, choose_device, compute_setting
from suite.plan.cell import Cell
from suite.stages import corpora, models
from suite.tracking.journal import open_journal
from suite.tracking.watch import Watch

if TYPE_CHECKING:
    from torch import Tensor, nn

    from leap.execution import Execution
    from leap.training.trainer import Report

# Trains on tokens and writes, in the first process, what comes of it; gives its part of the report
Train = Callable[["nn.Module", "Tensor", "Report"], dict[str, Any]]


def run_training(
    model_directory: Path,
    corpus: Path,
    cell: Cell,
    run_name: str,
    recipe: Mapping[str, Any],
    state: Path,
    execution: "Execution",
    outputs: Mapping[str, str],
    train: Train,
) -> None:
    """Load the model and the corpus, `train`, write the outputs `report` and `journal`.

    `recipe` is that of the cell's masks (see `suite.plan.recipe`). Then the folder `state` is
    deleted. Raises ValueError where the model or the corpus was made by another recipe.
    """
    import torch

    from leap.distributed import parallel

    meter = Meter()
    parallel.start()
    first = parallel.rank() == 0
    values = recipe["method"]
    journal = open_journal(outputs["journal"], run_name, cell, values) if first else nullcontext()
    with journal as record:
        device = choose_device()
        dtype = compute_dtype(models.describe(model_directory, recipe["model"])["dtype"], device)
        checkpoint = models.intact_checkpoint(model_directory)
        blocks_ST, described = corpora.read(corpus, recipe["training"])
        model = models.load_model(checkpoint, dtype, device)
        watch = Watch(values["steps"], record)
        own = train(model, torch.from_numpy(blocks_ST), watch.report)
        if record is None:
            return
        write_json(
            outputs["report"],
            {
                "implementation": recipe["implementation"],
                "recipe": dict(recipe),
                **own,
                "training": described,
                "processes": parallel.world_size(),
                "execution": asdict(execution),
                **compute_setting(dtype, device, model),
                # the steps of all attempts, where the job was interrupted
                "cost": {**meter.read(), "training_seconds": round(watch.seconds, 3)},
                "events": [],
            },
        )
    shutil.rmtree(state, ignore_errors=True)
