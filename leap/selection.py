"""Mask selection from learned logits, for every method, and application of masks to a model.

A method's module in `leap.methods` has `masks(learned)`, and `describe(learned)` where there is
more to report of the selection than the masks.
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from leap.methods.parameterisation import Learned, load
from leap.model.layers import prunable_linears


def select_masks(learned: Learned) -> dict[str, Tensor]:
    """Bool masks [O, I] by layer name, selected by the rule in the setting `selection`.

    Raises ValueError for NaN logits.
    """
    return load(learned.parameterisation.method).masks(learned)


def describe_masks(learned: Learned) -> dict[str, Any]:
    """Method-specific facts about the selection, as plain values; empty for most methods.

    `tolerance` is the largest deviation of the survivor count from its target, in weights, where
    the method cannot hit the target exactly.
    """
    module: Any = load(learned.parameterisation.method)
    return module.describe(learned) if hasattr(module, "describe") else {}


def apply_masks(model: nn.Module, masks: Mapping[str, Tensor]) -> None:
    """Set the weights outside the masks to zero, in place."""
    with torch.no_grad():
        for name, linear in prunable_linears(model).items():
            linear.weight.masked_fill_(~masks[name].to(linear.weight.device), 0)


def density(masks: Mapping[str, Tensor]) -> float:
    """Fraction of weights kept."""
    return sum(int(m.sum()) for m in masks.values()) / sum(m.numel() for m in masks.values())
