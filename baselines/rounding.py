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
    columns = weight_OI.shape[1]
    group = settings.group or columns
    padded_OI = torch.nn.functional.pad(weight_OI.float(), (0, -columns % group))
    groups_OGI = padded_OI.unflatten(1, (-1, group))
    largest = 2 ** (settings.bits - 1) - 1
    scale_OG1 = groups_OGI.abs().amax(dim=2, keepdim=True) / largest
    scale_OG1 = scale_OG1.bfloat16().float()
    steps = torch.where(scale_OG1 > 0, groups_OGI / scale_OG1, 0).round()
    rounded_OGI = steps.clamp(-largest, largest) * scale_OG1
    return rounded_OGI.flatten(1)[:, :columns], torch.ones_like(weight_OI, dtype=torch.bool)
