"""One cell's pruning with a layer-wise method: model and calibration in, weights and mask out.

Writes `weights.safetensors` (of the layers whose kept weights are no longer the dense model's, so
of none where a method only removes), `mask.safetensors` and `pruning.json`
(implementation, settings, seed, corpus, cost).
"""

from collections.abc import Mapping
from dataclasses import asdict
from importlib import import_module
from pathlib import Path
from typing import Any

from suite.artifacts.files import write_json
from suite.artifacts.masks import save_masks
from suite.artifacts.tensors import save_tensors
from suite.jobs.job import progress
from suite.jobs.precision import compute_dtype
from suite.jobs.provenance import Meter, choose_device, compute_setting
from suite.plan.cell import Cell
from suite.stages import corpora, models


def prune(
    model_directory: Path,
    calibration: Path,
    cell: Cell,
    recipe: Mapping[str, Any],
    outputs: Mapping[str, str],
) -> dict[str, float]:
    """Prune and write the three outputs; return what the job cost, for its journal.

    `recipe` is that of the cell's masks (see `suite.plan.recipe`). Raises ValueError where the
    model or the calibration was made by another one.
    """
    import torch

    from baselines import registry
    from leap.layers import prunable_linears

    meter = Meter()
    name, batch = recipe["implementation"], recipe["batch"]
    method = registry.load(name)
    settings = {**recipe["method"], **({"seed": recipe["seed"]} if "seed" in recipe else {})}
    chosen = registry.make_settings(method, name, settings)
    device = choose_device()
    saved_dtype = models.describe(model_directory, recipe["model"])["dtype"]
    dtype = compute_dtype(saved_dtype, device)
    model = models.load_model(models.intact_checkpoint(model_directory), dtype, device)
    blocks_ST, corpus = corpora.read(calibration, recipe["calibration"])
    batches = torch.from_numpy(blocks_ST).long().to(device).split(batch)
    driver = import_module(f"baselines.{registry.driver(settings)}")
    pruned = driver.prune_model(model, method, chosen, cell.target, batches, progress)
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
            "settings": asdict(chosen),
            "calibration": {**corpus, "batch": batch},
            **compute_setting(dtype, device, model),
            "cost": cost,
            "events": pruned.events,
        },
    )
    return cost
