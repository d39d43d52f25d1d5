"""From a training's result to masks, whatever the method; and masks laid over a model.

How a method's logits become masks is `leap/selection/<method>.py`: a function `masks(learned)`,
and if there is more to say of the choice, `describe(learned)`.
"""

from collections.abc import Mapping
from importlib import import_module
from typing import Any

import torch
from torch import Tensor, nn

from leap.layers import prunable_linears
from leap.parameterisation import Learned


def select_masks(learned: Learned) -> dict[str, Tensor]:
    """Bool masks [O, I] by layer name, chosen as the setting `selection` says.

    Raises ValueError for NaN, and for a method whose selection does not exist.
    """
    return _module(learned).masks(learned)


def describe_masks(learned: Learned) -> dict[str, Any]:
    """What a method has to say of its choice, as plain values; nothing for most.

    `tolerance` is by how many survivors the count may miss its target where it need not be exact.
    """
    module = _module(learned)
    return module.describe(learned) if hasattr(module, "describe") else {}


def apply_masks(model: nn.Module, masks: Mapping[str, Tensor]) -> None:
    """Set the weights outside the masks to zero, in place."""
    with torch.no_grad():
        for name, linear in prunable_linears(model).items():
            linear.weight.masked_fill_(~masks[name].to(linear.weight.device), 0)


def density(masks: Mapping[str, Tensor]) -> float:
    """Kept weights over all weights."""
    return sum(int(m.sum()) for m in masks.values()) / sum(m.numel() for m in masks.values())


def _module(learned: Learned) -> Any:
    method = learned.parameterisation.method
    name = f"leap.selection.{method}"
    try:
        return import_module(name)
    except ModuleNotFoundError as error:
        if error.name != name:
            raise
        raise ValueError(
            f"no selection for {method!r}: there is no module leap/selection/{method}.py"
        ) from None
