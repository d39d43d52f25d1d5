"""Random masks: every weight of a layer has the same chance. Axes: O outputs, I inputs.

A control, not a competitor.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from baselines.selection import select
from baselines.statistics import NoStatistic

Statistic = NoStatistic


@dataclass(frozen=True)
class Settings:
    """`budget`: weights compete in the whole `layer`, each `row`, or N:M groups `2:4`, `4:8`.

    seed: of the layer, derived from the cell's by the driver.
    """

    budget: str = "layer"
    seed: int = 0


def prepare(statistic: NoStatistic, settings: Settings) -> None:
    """Nothing is shared between layers."""


def prune(
    weight_OI: Tensor, prepared: None, keep: int, settings: Settings
) -> tuple[Tensor, Tensor]:
    """The weight unchanged, and a mask [O, I] of `keep` weights, drawn on the CPU."""
    generator = torch.Generator().manual_seed(settings.seed)
    score_OI = torch.rand(weight_OI.shape, generator=generator)
    return weight_OI, select(score_OI, keep, settings.budget).to(weight_OI.device)
