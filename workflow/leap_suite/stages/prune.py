"""Pruning of a cell with a layer-wise method: model and calibration in, weights and mask out.

Writes `weights.safetensors` (of the layers whose kept weights changed, so none for a method that
only removes weights), `mask.safetensors` and `pruning.json` (implementation, settings, seed,
corpus, cost).
"""

from collections.abc import Mapping
from dataclasses import asdict
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from leap_suite.artifacts.files import write_json
from leap_suite.artifacts.masks import save_masks
from leap_suite.artifacts.tensors import load_kept, load_masks, save_tensors
from leap_suite.jobs.job import progress
from leap_suite.jobs.precision import compute_dtype
from leap_suite.jobs.provenance import Meter, choose_device, compute_setting
from leap_suite.plan.cell import Cell
from leap_suite.stages import corpora, models

if TYPE_CHECKING:
    from torch import nn


def prune(
    model_directory: Path,
    calibration: Path,
    cell: Cell,
    recipe: Mapping[str, Any],
    outputs: Mapping[str, str],
    taken: Mapping[str, Path] | None = None,
) -> None:
    """Prune and write the three outputs.

    `recipe` belongs to the cell's masks (see `leap_suite.plan.recipe`). `taken` are files of
    another method: masks whose layer densities are used (`allocation`), or masks that are kept
    (`mask_from`) and the weights changed with them (`weights_from`). Raises ValueError where the
    model or the calibration was made by another recipe.
    """
    import torch

    from baselines import registry
    from leap.model.layers import prunable_linears

    meter, taken = Meter(), taken or {}
    name, batch = recipe["implementation"], recipe["batch"]
    method = registry.load(name)
    settings = {**recipe["method"], **({"seed": recipe["seed"]} if "seed" in recipe else {})}
    driver = import_module(f"baselines.{registry.driver(settings)}")
    of_suite = {key: settings.pop(key) for key in ("allocation", "mask_from") if key in settings}
    text = settings.pop("calibration", {})  # its corpus is part of the recipe
    chosen = registry.make_settings(method, name, settings)
    device = choose_device()
    saved_dtype = models.describe(model_directory, recipe["model"])["dtype"]
    dtype = compute_dtype(saved_dtype, device)
    model = models.load_model(models.intact_checkpoint(model_directory), dtype, device)
    blocks_ST, corpus = corpora.read(calibration, recipe["calibration"], text.get("sequences"))
    batches = torch.from_numpy(blocks_ST).long().to(device).split(batch)
    if "mask_from" in of_suite:
        start = load_kept(taken)
        pruned = driver.prune_model(model, chosen, cell.target, batches, *start, progress)
    else:
        of_suite = {"allocation": "uniform", **of_suite}
        keep = _keep(of_suite["allocation"], taken.get("allocation"), model, cell, batches)
        pruned = driver.prune_model(model, method, chosen, cell.target, batches, progress, **keep)
    linears = prunable_linears(model)
    kind = getattr(torch, saved_dtype)
    changed = ((name, linears[name].weight.detach().cpu().to(kind)) for name in pruned.changed)
    weights = {f"{name}.weight": weight_OI.contiguous() for name, weight_OI in changed}
    weights |= {n: model.get_parameter(n).detach().cpu().to(kind) for n in pruned.beside}
    save_tensors(weights, outputs["weights"])
    save_masks(pruned.masks, outputs["mask"])
    write_json(
        outputs["report"],
        {
            "implementation": name,
            "recipe": dict(recipe),
            "settings": {**asdict(chosen), **of_suite},
            "calibration": {**corpus, **text, "batch": batch},
            **compute_setting(dtype, device, model),
            "cost": meter.read(),
            "events": pruned.events,
        },
    )


def _keep(
    allocation: Any, densities: Path | None, model: "nn.Module", cell: Cell, batches: Any
) -> dict[str, Any]:
    """Number of survivors of each layer as an argument of the driver; {} for its default."""
    from baselines.allocation import of_masks, owl

    if densities is not None:
        return {"keep": of_masks(model, load_masks(densities), cell.target)}
    if allocation == "owl":
        return {"keep": owl(model, cell.target, batches, progress)}
    return {}
