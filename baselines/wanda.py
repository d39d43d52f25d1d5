"""Wanda: score |W_ij| * ||x_j||_2, lowest removed within each output row.

Sun et al. 2023, "A Simple and Effective Pruning Approach for Large Language Models",
arXiv 2306.11695, equation 1. Axes: O outputs, I inputs.
"""

from dataclasses import dataclass

from torch import Tensor

from baselines.selection import select
from baselines.statistics import FeatureNorm

Statistic = FeatureNorm


@dataclass(frozen=True)
class Settings:
    """`budget`: weights compete in each `row` (as published), `layer`, `2:4`, `4:8` or `global`."""

    budget: str = "row"


def prepare(statistic: FeatureNorm, settings: Settings) -> Tensor:
    """Norm of every input feature, [I]; shared by all layers with this input."""
    return statistic.norm_I


def score(weight_OI: Tensor, norm_I: Tensor) -> Tensor:
    """Score of each weight, [O, I], float32."""
    return weight_OI.float().abs() * norm_I


def prune(
    weight_OI: Tensor, norm_I: Tensor, keep: int, settings: Settings
) -> tuple[Tensor, Tensor]:
    """The weight unchanged, and the mask [O, I] of the `keep` weights with the best scores."""
    return weight_OI, select(score(weight_OI, norm_I), keep, settings.budget)
