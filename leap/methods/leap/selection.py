"""LEAP's mask selection: global top-k of the logits. Axes: O outputs, I inputs, N elements."""

from collections.abc import Mapping

from torch import Tensor

from leap import topk
from leap.budget import survivors
from leap.checks import refuse_nan
from leap.methods.parameterisation import Learned


def masks(learned: Learned) -> dict[str, Tensor]:
    """Bool masks [O, I] by layer name, by the rule in the setting `selection`."""
    if learned.settings.selection == "threshold":
        return threshold_masks(learned.logits)
    return exact_masks(learned.logits, learned.settings.sparsity)


def exact_masks(logits: Mapping[str, Tensor], sparsity: float) -> dict[str, Tensor]:
    """Masks [O, I] of the round((1 - sparsity) * N) largest logits of the whole model.

    Ties go to the earlier layer and the lower index, so the count is exact. Logits are float32,
    in model order. Raises ValueError for NaN.
    """
    rows = [refuse_nan(layer).detach().cpu().float().reshape(1, -1) for layer in logits.values()]
    kept = topk.largest(rows, survivors(sum(row.numel() for row in rows), sparsity))
    return {name: mask.view(logits[name].shape) for name, mask in zip(logits, kept, strict=True)}


def threshold_masks(logits: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Masks [O, I] of the positive logits (official code); the density is approximate."""
    return {name: logits[name] > 0 for name in logits}
