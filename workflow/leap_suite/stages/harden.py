"""Final checkpoint of a cell with its mask and manifest, reloaded and counted."""

import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from leap_suite.artifacts.files import grant, new_mode, read_json, sha256, write_json
from leap_suite.artifacts.masks import check_groups, mask_hash, save_masks
from leap_suite.artifacts.recorded import check
from leap_suite.artifacts.tensors import load_masks, load_tensors, tensors_hash
from leap_suite.jobs.provenance import Meter, environment
from leap_suite.plan.cell import Cell
from leap_suite.stages import models

if TYPE_CHECKING:
    from torch import Tensor

_TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json",
                    "chat_template.jinja")  # fmt: skip


def harden(
    model_directory: Path,
    pruned: Mapping[str, str],
    cell: Cell,
    run: str,
    recipe: Mapping[str, Any],
    target: Path,
) -> None:
    """Write the checkpoint, mask.safetensors and manifest.json of one cell into `target`.

    `pruned` has the files `mask` and `report`; `weights` of the layers whose kept weights a method
    changed, if it can, and of other parameters that it trained; and `choice`, the description of
    the selection of a learned mask. `run` is the name of the run, `recipe` that of the checkpoint
    (`leap_suite.plan.recipe`). The checkpoint is reloaded from disk and counted before any file is
    moved to `target`; the manifest is the last.
    Raises ValueError where a file was made by another recipe, where the number of survivors
    differs from round((1 - sparsity) * weights) by more than the tolerance of the choice (0 for
    all but `threshold` and PATCH), where a group of an N:M method does not keep N, where a removed
    weight is not zero, or where a weight is NaN or infinite.
    """
    meter = Meter()
    masks = load_masks(pruned["mask"])
    report, choice = read_json(pruned["report"]), {"rule": "exact", "tolerance": 0}
    check(pruned["report"], report.pop("recipe"), recipe["masks"])
    if "selection" in recipe:
        choice = read_json(pruned["choice"])
        check(pruned["choice"], choice.pop("recipe"), recipe["selection"])
    target.mkdir(parents=True, exist_ok=True)
    for left in target.glob(".writing-*"):
        shutil.rmtree(left)  # of a killed job
    with tempfile.TemporaryDirectory(dir=target, prefix=".writing-") as temporary:
        folder = Path(temporary)
        facts = _write_checkpoint(model_directory, pruned.get("weights"), masks, folder)
        save_masks(masks, folder / "mask.safetensors")
        counts = verify(folder, masks, cell.target, choice, recipe["masks"]["pattern"])
        described = models.describe(model_directory)
        manifest = {
            "run": run,
            "model": cell.model,
            "method": cell.method,
            "seed": cell.seed,
            "target_sparsity": cell.target,
            **counts,
            **facts,
            "mask_sha256": mask_hash(masks),
            "weights_sha256": sha256(folder / "model.safetensors"),
            "model_source": described["source"],
            "dense_weights_sha256": described["weights_sha256"],
            "dtype": described["dtype"],
            "bos": described["bos"],
            "selection": choice,
            "pruning": report,
            "recipe": dict(recipe),
            "hardening_cost": meter.read(),
            **environment(),
        }
        write_json(folder / "manifest.json", manifest)
        grant(folder, new_mode(folder / "new"))
        for file in sorted(folder.iterdir(), key=lambda file: file.name == "manifest.json"):
            os.replace(file, target / file.name)


def verify(
    checkpoint: Path,
    masks: Mapping[str, "Tensor"],
    sparsity: float,
    choice: Mapping[str, Any],
    pattern: str,
) -> dict[str, Any]:
    """Load a checkpoint from disk and count its zeros. Raises ValueError as `harden` does."""
    from leap.budget import survivors
    from leap.model.layers import prunable_linears

    model = models.load_model(checkpoint, "auto", "cpu")
    linears = prunable_linears(model)
    if list(linears) != list(masks):
        raise ValueError(f"{checkpoint}: its prunable layers are not the layers of the mask")
    total = sum(mask.numel() for mask in masks.values())
    kept = sum(int(mask.sum()) for mask in masks.values())
    tolerance = choice["tolerance"]
    if tolerance is not None and abs(kept - survivors(total, sparsity)) > tolerance:
        raise ValueError(
            f"the mask keeps {kept} of {total} weights, but sparsity {sparsity} means "
            f"{survivors(total, sparsity)}: the pruning method's count is wrong"
        )
    zeros = 0
    for name, mask_OI in masks.items():
        weight_OI = linears[name].weight.detach()
        if pattern:
            check_groups({name: mask_OI | (weight_OI != 0)}, pattern, choice.get("tiles", {}))
        zeros += _count_zeros(name, weight_OI, mask_OI)
    return {
        "weights": total,
        "survivors": kept,
        "zeros": zeros,
        "achieved_sparsity": 1 - kept / total,
        "layer_sparsity": {n: 1 - int(m.sum()) / m.numel() for n, m in masks.items()},
    }


def _count_zeros(name: str, weight_OI: "Tensor", mask_OI: "Tensor") -> int:
    import torch

    if not torch.isfinite(weight_OI).all():
        raise ValueError(f"{name} holds NaN or infinite weights")
    if weight_OI[~mask_OI].any():
        raise ValueError(f"{name}: a weight that the mask removes is not zero in the checkpoint")
    return int((weight_OI == 0).sum())


def _write_checkpoint(
    model_directory: Path, weights: str | None, masks: Mapping[str, "Tensor"], folder: Path
) -> dict[str, Any]:
    """Save the pruned model; its number of parameters and other facts for the manifest."""
    from leap.model.layers import prunable_linears

    dense = models.intact_checkpoint(model_directory)
    model = models.load_model(dense, models.describe(model_directory)["dtype"], "cpu")
    linears = prunable_linears(model)
    dense_hash = tensors_hash((name, linear.weight) for name, linear in linears.items())
    changed = load_tensors(weights) if weights is not None else {}
    for key, parameter in changed.items():
        model.get_parameter(key).data.copy_(parameter)
    for name, linear in linears.items():
        linear.weight.data.masked_fill_(~masks[name], 0)
    # one file of any size, so that outputs have fixed names
    model.save_pretrained(folder, max_shard_size="1TB")
    for name in _TOKENIZER_FILES:
        if (dense / name).is_file():
            shutil.copy(dense / name, folder / name)
    return {
        "parameters": model.num_parameters(),
        "kept_weights_changed": bool(changed),
        "changed_parameters": sum(
            parameter.numel()
            for key, parameter in changed.items()
            if key.removesuffix(".weight") not in linears
        ),
        "dense_linears_sha256": dense_hash,
    }
