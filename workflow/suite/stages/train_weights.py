"""One cell's training of weights (ELSA): model and corpus in, sparse weights and their mask out.

Writes `weights.safetensors`, `mask.safetensors` and `pruning.json`, as a layer-wise method does
(see `suite.stages.prune`), so that all that follows is the same.
"""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from suite.artifacts.masks import save_masks
from suite.artifacts.tensors import save_tensors
from suite.plan.cell import Cell
from suite.stages import models
from suite.stages.training import run_training

if TYPE_CHECKING:
    from torch import Tensor, nn

    from leap.execution import Execution
    from leap.training.trainer import Report


def learn(
    model_directory: Path,
    corpus: Path,
    cell: Cell,
    run_name: str,
    recipe: Mapping[str, Any],
    state: Path,
    execution: "Execution",
    outputs: Mapping[str, str],
) -> None:
    """Train the cell's weights, or finish a training whose state is in the folder `state`.

    `recipe` is that of the cell's masks (see `suite.plan.recipe`). Writes the outputs `weights` (in
    the dtype of the model's checkpoint), `mask`, `report` and `journal`, then deletes the state.
    Raises ValueError where the model or the corpus was made by another recipe, and for unusable
    settings, data or states (see `leap.methods.elsa`).
    """
    import torch

    from leap.distributed import parallel
    from leap.methods.elsa import Settings, learn_weights
    from leap.settings import make_settings

    settings = make_settings(Settings, recipe["method"], cell.target, cell.seed)

    def train(model: "nn.Module", blocks_ST: "Tensor", report: "Report") -> dict[str, Any]:
        found = learn_weights(
            model, blocks_ST, settings, execution=execution, state=state, report=report
        )
        if parallel.rank() == 0:
            kind = getattr(torch, models.describe(model_directory)["dtype"])
            named = {f"{name}.weight": x.to(kind) for name, x in found.weights.items()}
            save_tensors(named, outputs["weights"])
            save_masks(found.masks, outputs["mask"])
        return {"settings": asdict(settings)}

    run_training(model_directory, corpus, cell, run_name, recipe, state, execution, outputs, train)
