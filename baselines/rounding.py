"""Rounding to nearest: all weights are kept, with fewer bits. Axes: O outputs, I inputs, G groups.

A control for what sparsity saves, not a competitor, and the simplest quantisation there is: each
row, or each group of weights in it, has integers of some bits and one scale in bfloat16, from its
largest weight. It uses no data.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from baselines.statistics import NoStatistic

Statistic = NoStatistic


@dataclass(frozen=True)
class Settings:
    """bits: of a weight. group: neighbouring weights of a row that share a scale; 0 for the row."""

    bits: int = 8
    group: int = 0


def prepare(statistic: NoStatistic, settings: Settings) -> None:
    """Nothing is shared between layers."""


def prune(
    weight_OI: Tensor, prepared: None, keep: int, settings: Settings
) -> tuple[Tensor, Tensor]:
    """The rounded weight, float32, and a mask [O, I] of all weights.

    Raises ValueError where weights are to be removed.
    """
    if keep != weight_OI.numel():
        raise ValueError("rounding removes no weights: its sparsity is 0")
    steps_OGI, scale_OG1 = rounded(weight_OI, settings.bits, settings.group)
    rounded_OI = (steps_OGI * scale_OG1.float()).flatten(1)[:, : weight_OI.shape[1]]
    return rounded_OI, torch.ones_like(weight_OI, dtype=torch.bool)


def rounded(weight_OI: Tensor, bits: int, group: int) -> tuple[Tensor, Tensor]:
    """Whole steps, float32, of each weight by group, and the size of a step, bfloat16.

    The last group of a row is filled up with zeros.
    """
    columns = weight_OI.shape[1]
    width = group or columns
    padded_OI = torch.nn.functional.pad(weight_OI.float(), (0, -columns % width))
    groups_OGI = padded_OI.unflatten(1, (-1, width))
    largest = 2 ** (bits - 1) - 1
    scale_OG1 = (groups_OGI.abs().amax(dim=2, keepdim=True) / largest).bfloat16()
    steps_OGI = torch.where(scale_OG1 > 0, groups_OGI / scale_OG1.float(), 0).round()
    return steps_OGI.clamp(-largest, largest), scale_OG1
