"""From a training's result to masks, whatever the method; and masks laid over a model.

How logits become masks is a function `masks(learned)`, and if there is more to say of the
choice, `describe(learned)`: in `leap/selection/<method>.py`, so that an edit asks for no other
training, or without that in the method's parameterisation.
"""

from collections.abc import Mapping
from importlib import import_module
from importlib.util import find_spec
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


def selecting_module(method: str) -> str:
    """The module that chooses a method's masks: one of its own, or that of its parameterisation."""
    own = f"leap.selection.{method}"
    return own if find_spec(own) else f"leap.parameterisations.{method}"


def _module(learned: Learned) -> Any:
    method = learned.parameterisation.method
    name = selecting_module(method)
    module = import_module(name) if find_spec(name) else None
    if not hasattr(module, "masks"):
        raise ValueError(
            f"no selection for {method!r}: write a function masks(learned) into "
            f"leap/parameterisations/{method}.py, or into leap/selection/{method}.py"
        )
    return module
