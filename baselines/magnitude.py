"""Magnitude pruning: the smallest |W| of each layer are removed. Axes: O outputs, I inputs.

The floor that every other method has to beat; it looks at no data.
"""

from dataclasses import dataclass

from torch import Tensor

from baselines.selection import keep_largest, keep_largest_per_row
from baselines.statistics import NoStatistic

Statistic = NoStatistic


@dataclass(frozen=True)
class Settings:
    """`budget`: where weights compete, in the whole `layer` or in each `row`."""

    budget: str = "layer"


def prepare(statistic: NoStatistic, settings: Settings) -> None:
    """Nothing is shared between layers."""


def prune(
    weight_OI: Tensor, prepared: None, keep: int, settings: Settings
) -> tuple[Tensor, Tensor]:
    """The weight unchanged, and the mask [O, I] of its `keep` largest magnitudes."""
    select = {"layer": keep_largest, "row": keep_largest_per_row}[settings.budget]
    return weight_OI, select(weight_OI.float().abs(), keep)
