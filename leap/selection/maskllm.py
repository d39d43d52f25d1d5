"""MaskLLM's masks: each group takes the pattern of its largest logit.

Axes: O outputs, I inputs, G groups of a row, K patterns, M positions.
"""

from typing import Any

from torch import Tensor

from leap.finite import refuse_nan
from leap.parameterisation import Learned
from leap.patterns import patterns


def masks(learned: Learned) -> dict[str, Tensor]:
    """Bool masks [O, I] by layer name; there is one way to choose them."""
    what: Any = learned.parameterisation
    return {name: pattern_masks(learned.logits[name], what.n, what.m) for name in learned.shapes}


def pattern_masks(logits_OGK: Tensor, n: int, m: int) -> Tensor:
    """Bool mask [O, I] of the pattern with the largest logit in each group; the first among equals.

    Raises ValueError for NaN.
    """
    refuse_nan(logits_OGK)
    table_KM = patterns(n, m).bool().to(logits_OGK.device)
    return table_KM[logits_OGK.argmax(dim=2)].flatten(1)
