"""One cell's training of masks: model, corpus and one-shot masks in, logits out.

Writes `logits.safetensors` (float32, by layer and part) and
`training.json` (implementation, settings, layers with their shapes, corpus, cost).
"""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from suite.artifacts.files import read_json
from suite.artifacts.masks import mask_hash
from suite.artifacts.tensors import load_masks, save_tensors
from suite.plan.cell import Cell
from suite.stages.training import run_training

if TYPE_CHECKING:
    from torch import Tensor, nn

    from leap.execution import Execution
    from leap.training.trainer import Report


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
    `leap.training.masks`).
    """
    from leap.distributed import parallel
    from leap.methods.parameterisation import load
    from leap.settings import Settings, make_settings
    from leap.training.masks import learn_masks

    values = recipe["method"]
    settings = make_settings(Settings, values, cell.target, cell.seed)

    def train(model: "nn.Module", blocks_ST: "Tensor", report: "Report") -> dict[str, Any]:
        given = {name: load_masks(file) for name, file in masks.items()}
        prior, sparse = given.get("warm_start"), given.get("sparse_masks")
        learned = learn_masks(
            model, blocks_ST, settings, prior,
            parameterisation=load(recipe["implementation"]).from_settings(values), sparse=sparse,
            execution=execution, state=state, report=report,
        )  # fmt: skip
        if parallel.rank() == 0:
            save_tensors(learned.logits, outputs["logits"])
        return {
            "settings": {**values, **asdict(settings)},
            "layers": dict(learned.shapes),
            "prior_mask_sha256": mask_hash(prior) if prior else "",
            "prior_calibration": _calibration(masks["warm_start"]) if prior else {},
            "sparse_mask_sha256": mask_hash(sparse) if sparse else "",
        }

    run_training(model_directory, corpus, cell, run_name, recipe, state, execution, outputs, train)


def _calibration(mask: Path) -> dict[str, Any]:
    """Calibration corpus of a layer-wise method's mask, from the report that lies beside it.

    Empty for a method with a rule of its own, whose data the suite does not know.
    """
    found: dict[str, Any] = read_json(mask.with_name("pruning.json")).get("calibration", {})
    return found
