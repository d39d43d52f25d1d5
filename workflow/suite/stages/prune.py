"""One cell's pruning with a layer-wise method: model and calibration in, weights and mask out.

Writes `weights.safetensors` (of the layers whose kept weights are no longer the dense model's, so
of none where a method only removes), `mask.safetensors` and `pruning.json`
(implementation, settings, seed, corpus, cost).
"""

from collections.abc import Mapping
from dataclasses import asdict
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from suite.artifacts.files import write_json
from suite.artifacts.masks import save_masks
from suite.artifacts.tensors import load_masks, save_tensors
from suite.jobs.job import progress
from suite.jobs.precision import compute_dtype
from suite.jobs.provenance import Meter, choose_device, compute_setting
from suite.plan.cell import Cell
from suite.stages import corpora, models

if TYPE_CHECKING:
    from torch import nn


def prune(
    model_directory: Path,
    calibration: Path,
    cell: Cell,
    recipe: Mapping[str, Any],
    outputs: Mapping[str, str],
    densities: Path | None = None,
) -> dict[str, float]:
    """Prune and write the three outputs; return what the job cost, for its journal.

    `recipe` is that of the cell's masks (see `suite.plan.recipe`), `densities` the file of masks
    that the method takes its layers' densities from. Raises ValueError where the model or the
    calibration was made by another recipe.
    """
    import torch

    from baselines import registry
    from leap.layers import prunable_linears

    meter = Meter()
    name, batch = recipe["implementation"], recipe["batch"]
    method = registry.load(name)
    settings = {**recipe["method"], **({"seed": recipe["seed"]} if "seed" in recipe else {})}
    allocation = settings.pop("allocation", "uniform")
    text = settings.pop("calibration", {})  # of which the recipe names the corpus
    chosen = registry.make_settings(method, name, settings)
    device = choose_device()
    saved_dtype = models.describe(model_directory, recipe["model"])["dtype"]
    dtype = compute_dtype(saved_dtype, device)
    model = models.load_model(models.intact_checkpoint(model_directory), dtype, device)
    blocks_ST, corpus = corpora.read(calibration, recipe["calibration"], text.get("sequences"))
    batches = torch.from_numpy(blocks_ST).long().to(device).split(batch)
    driver = import_module(f"baselines.{registry.driver(settings)}")
    arguments = model, method, chosen, cell.target, batches, progress
    pruned = driver.prune_model(*arguments, **_keep(allocation, densities, model, cell, batches))
    linears = prunable_linears(model)
    kind = getattr(torch, saved_dtype)
    changed = ((name, linears[name].weight.detach().cpu().to(kind)) for name in pruned.changed)
    weights = {f"{name}.weight": weight_OI.contiguous() for name, weight_OI in changed}
    save_tensors(weights, outputs["weights"])
    save_masks(pruned.masks, outputs["mask"])
    cost = meter.read()
    write_json(
        outputs["report"],
        {
            "implementation": name,
            "recipe": dict(recipe),
            "settings": {**asdict(chosen), "allocation": allocation},
            "calibration": {**corpus, **text, "batch": batch},
            **compute_setting(dtype, device, model),
            "cost": cost,
            "events": pruned.events,
        },
    )
    return cost


def _keep(
    allocation: Any, densities: Path | None, model: "nn.Module", cell: Cell, batches: Any
) -> dict[str, Any]:
    """The number of survivors of each layer, for the driver, where it is not its own business."""
    from baselines.allocation import of_masks, owl

    if densities is not None:
        return {"keep": of_masks(model, load_masks(densities), cell.target)}
    if allocation == "owl":
        return {"keep": owl(model, cell.target, batches, progress)}
    return {}
