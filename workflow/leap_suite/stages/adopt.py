"""Masks and weights written by a baseline's own rule, checked and taken over as a pruned cell.

Such a rule writes two plain safetensors files: masks, bool or 0 and 1 as uint8, [O, I] by layer
name, of all prunable layers; and `<layer>.weight` [O, I] of the layers in which a surviving weight
has a new value (none, where the method only removes weights).
"""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from leap.budget import survivors
from leap.model.layers import prunable_linears
from leap_suite.artifacts.files import write_json
from leap_suite.artifacts.masks import check_groups, save_masks
from leap_suite.artifacts.tensors import save_tensors
from leap_suite.jobs.provenance import benchmarked
from leap_suite.plan.cell import Cell
from leap_suite.stages import models

if TYPE_CHECKING:
    from torch import Tensor

Tensors = Mapping[str, "Tensor"]


def adopt(
    model_directory: Path,
    files: Mapping[str, str],
    cell: Cell,
    recipe: Mapping[str, Any],
    outputs: Mapping[str, str],
) -> None:
    """Write the outputs `weights`, `mask` and `report` of a cell.

    `files` are the rule's `mask` and `weights`, and its Snakemake `benchmark`. Raises ValueError
    that names the file and the error: a missing or unknown layer, a shape or dtype, a number of
    survivors other than round((1 - sparsity) * weights), non-finite values, groups that violate
    an N:M budget.
    """
    dtype = models.describe(model_directory, recipe["model"])["dtype"]
    model = models.load_model(models.intact_checkpoint(model_directory), dtype, "cpu")
    dense = {name: linear.weight.detach() for name, linear in prunable_linears(model).items()}
    masks = _masks(Path(files["mask"]), dense, cell, recipe["pattern"])
    save_tensors(_changed_weights(Path(files["weights"]), dense, masks), outputs["weights"])
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


def _masks(file: Path, dense: Tensors, cell: Cell, pattern: str) -> dict[str, "Tensor"]:
    """Masks as bool, in model order."""
    import torch

    stored = _read(file, dense)
    if missing := sorted(dense.keys() - stored.keys()):
        raise ValueError(f"{file}: there is no mask of {', '.join(missing[:3])}")
    for name, found in stored.items():
        if found.dtype not in (torch.bool, torch.uint8) or found.max() > 1:
            raise ValueError(f"{file}: {name} must be bool, or 0 and 1 as uint8")
    masks = {name: stored[name].bool() for name in dense}
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
    return masks


def _changed_weights(file: Path, dense: Tensors, masks: Tensors) -> dict[str, "Tensor"]:
    """Weights of the layers in which a surviving weight differs from the dense model's."""
    import torch

    changed = {}
    for key, weight_OI in _read(file, {f"{name}.weight": x for name, x in dense.items()}).items():
        name = key.removesuffix(".weight")
        dense_OI, mask_OI = dense[name], masks[name]
        if weight_OI.dtype != dense_OI.dtype:
            raise ValueError(f"{file}: {key} is {weight_OI.dtype}, but the model {dense_OI.dtype}")
        if not torch.isfinite(weight_OI).all():
            raise ValueError(f"{file}: {key} holds NaN or infinite weights")
        if not torch.equal(weight_OI[mask_OI], dense_OI[mask_OI]):
            changed[key] = weight_OI
    return changed


def _read(file: Path, dense: Tensors) -> dict[str, "Tensor"]:
    """Tensors of a safetensors file, whose names and shapes are among those of `dense`."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        stored = load_file(file)
    except SafetensorError as error:
        raise ValueError(f"{file} is no safetensors file ({error})") from None
    if unknown := sorted(stored.keys() - dense.keys()):
        raise ValueError(
            f"{file}: {', '.join(unknown[:3])} is none of the model's prunable layers, such as "
            f"{min(dense)}"
        )
    for name, found in stored.items():
        shape, wanted = tuple(found.shape), tuple(dense[name].shape)
        if shape != wanted:
            raise ValueError(f"{file}: {name} has shape {shape}, but the layer {wanted}")
    return stored
