"""Magnitude pruning: the smallest |W| of each layer are removed. Axes: O outputs, I inputs.

The simplest baseline; it uses no data.
"""

from dataclasses import dataclass

from torch import Tensor

from baselines.selection import select
from baselines.statistics import NoStatistic

Statistic = NoStatistic


@dataclass(frozen=True)
class Settings:
    """`budget`: weights compete in each `layer`, `row`, `2:4`, `4:8`, or all (`global`)."""

    budget: str = "layer"


def prepare(statistic: NoStatistic, settings: Settings) -> None:
    """Nothing is shared between layers."""


def score(weight_OI: Tensor, prepared: None) -> Tensor:
    """Score of each weight, [O, I], float32."""
    return weight_OI.float().abs()


def prune(
    weight_OI: Tensor, prepared: None, keep: int, settings: Settings
) -> tuple[Tensor, Tensor]:
    """The weight unchanged, and the mask [O, I] of its `keep` largest magnitudes."""
    return weight_OI, select(score(weight_OI, None), keep, settings.budget)
