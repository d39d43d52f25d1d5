"""What a baseline's own rule wrote, checked and taken over: from here on it is a cell as any other.

Such a rule writes two plain safetensors files: the masks, bool or 0 and 1 as uint8, [O, I] by the
name of the layer, of all prunable layers; and `<layer>.weight` [O, I] of the layers in which a
weight that survives has a new value (none, where the method only removes).
"""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from leap.budget import survivors
from leap.model.layers import prunable_linears
from suite.artifacts.files import write_json
from suite.artifacts.masks import check_groups, save_masks
from suite.artifacts.tensors import save_tensors
from suite.jobs.provenance import benchmarked
from suite.plan.cell import Cell
from suite.stages import models

if TYPE_CHECKING:
    from torch import Tensor
    from torch.nn import Linear


def adopt(
    model_directory: Path,
    files: Mapping[str, str],
    cell: Cell,
    recipe: Mapping[str, Any],
    outputs: Mapping[str, str],
) -> None:
    """Write the outputs `weights`, `mask` and `report` of a cell.

    `files` are the rule's `mask` and `weights`, and Snakemake's `benchmark` of it. Raises
    ValueError that names the file and what is wrong: a layer that is missing or unknown, a shape
    or type, a number of survivors other than round((1 - sparsity) * weights), values that are not
    finite, groups that do not keep the N of an N:M budget.
    """
    dtype = models.describe(model_directory, recipe["model"])["dtype"]
    dense = models.load_model(models.intact_checkpoint(model_directory), dtype, "cpu")
    linears = prunable_linears(dense)
    masks = _masks(Path(files["mask"]), linears)
    _check_count(Path(files["mask"]), masks, cell, recipe["pattern"])
    weights = _changed(_weights(Path(files["weights"]), linears), masks, linears)
    save_tensors(weights, outputs["weights"])
    save_masks(masks, outputs["mask"])
    write_json(
        outputs["report"],
        {
            "implementation": recipe["implementation"],
            "settings": dict(recipe["method"]),
            "recipe": dict(recipe),
            "dtype": dtype,
            "cost": benchmarked(files["benchmark"]),
            "events": [],
        },
    )


def _masks(file: Path, linears: Mapping[str, "Linear"]) -> dict[str, "Tensor"]:
    """The masks as bool, in model order."""
    import torch

    stored = _read(file)
    _check_names(file, set(stored), set(linears))
    if missing := sorted(set(linears) - set(stored)):
        raise ValueError(f"{file}: there is no mask of {', '.join(missing[:3])}")
    for name, linear in linears.items():
        _check_shape(file, name, stored[name], linear.weight)
        if stored[name].dtype not in (torch.bool, torch.uint8) or stored[name].max() > 1:
            raise ValueError(f"{file}: {name} must be bool, or 0 and 1 as uint8")
    return {name: stored[name].bool() for name in linears}


def _check_count(file: Path, masks: Mapping[str, "Tensor"], cell: Cell, pattern: str) -> None:
    total = sum(mask.numel() for mask in masks.values())
    kept, wanted = sum(int(m.sum()) for m in masks.values()), survivors(total, cell.target)
    if kept != wanted:
        raise ValueError(
            f"{file} keeps {kept} of {total} weights, but sparsity {cell.sparsity} means {wanted}"
        )
    try:
        check_groups(masks, pattern, {})
    except ValueError as error:
        raise ValueError(f"{file}: {error}") from None


def _weights(file: Path, linears: Mapping[str, "Linear"]) -> dict[str, "Tensor"]:
    import torch

    stored = _read(file)
    _check_names(file, set(stored), {f"{name}.weight" for name in linears})
    for key, weight_OI in stored.items():
        dense_OI = linears[key.removesuffix(".weight")].weight
        _check_shape(file, key, weight_OI, dense_OI)
        if weight_OI.dtype != dense_OI.dtype:
            raise ValueError(f"{file}: {key} is {weight_OI.dtype}, but the model {dense_OI.dtype}")
        if not torch.isfinite(weight_OI).all():
            raise ValueError(f"{file}: {key} holds NaN or infinite weights")
    return stored


def _changed(
    weights: Mapping[str, "Tensor"],
    masks: Mapping[str, "Tensor"],
    linears: Mapping[str, "Linear"],
) -> dict[str, "Tensor"]:
    """The weights of layers in which one that survives is new; others are the dense model's."""
    import torch

    changed = {}
    for key, weight_OI in weights.items():
        name = key.removesuffix(".weight")
        kept_OI, dense_OI = masks[name], linears[name].weight.detach()
        if not torch.equal(weight_OI[kept_OI], dense_OI[kept_OI]):
            changed[key] = weight_OI
    return changed


def _read(file: Path) -> dict[str, "Tensor"]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(file)
    except SafetensorError as error:
        raise ValueError(f"{file} is no safetensors file ({error})") from None


def _check_names(file: Path, found: set[str], known: set[str]) -> None:
    if unknown := sorted(found - known):
        raise ValueError(
            f"{file}: {', '.join(unknown[:3])} is none of the model's prunable layers, such as "
            f"{min(known)}"
        )


def _check_shape(file: Path, name: str, found: "Tensor", dense_OI: "Tensor") -> None:
    if found.shape != dense_OI.shape:
        raise ValueError(
            f"{file}: {name} has shape {tuple(found.shape)}, but the layer {tuple(dense_OI.shape)}"
        )
