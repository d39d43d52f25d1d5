"""Means over seeds and cells, recovered shares, and paired, item-clustered standard errors.

Standard errors are over draws of items, and of training seeds where there are several. The
influence of each item on a difference is summed over cells that share the item before it is
squared: the cluster-robust variance of Liang and Zeger (1986), as in Miller (2024), "Adding error
bars to evals", arXiv 2411.00640.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations

import numpy as np
import pandas as pd

from leap_suite.plan.cell import DENSE

FLOOR = "random-mask"  # the control whose average is the floor of recovered shares


def means(cells: pd.DataFrame, measures: Sequence[str]) -> pd.DataFrame:
    """Means over seeds by model, sparsity and method, in the order of `cells`.

    A measure's `_stderr` is averaged too: all seeds answer the same items, so that more seeds do
    not make it smaller. Unknown measures are NaN.
    """
    groups = cells.groupby(["model", "sparsity", "method"], sort=False)
    known = [measure for measure in measures if measure in cells]
    return groups[known].mean().reindex(columns=list(measures))


def over_places(cells: pd.DataFrame, measure: str, geometric: bool = False) -> float:
    """Mean of one method over seeds, then over models and sparsities with equal weight.

    NaN unless every cell has the measure.
    """
    if measure not in cells or cells[measure].isna().any():
        return math.nan
    values = np.log(cells[measure]) if geometric else cells[measure]
    mean = values.groupby([cells["model"], cells["sparsity"]]).mean().mean()
    return float(np.exp(mean)) if geometric else float(mean)


def random_floors(averages: pd.DataFrame) -> pd.Series | None:
    """What random masks score, by model and sparsity; None unless all pruned places have them.

    `averages` has columns `model`, `sparsity`, `method`, `implementation` and `value`.
    """
    implementation = averages["implementation"].mask(
        averages["implementation"] == "", averages["method"]
    )
    floors = averages[implementation == FLOOR].groupby(["model", "sparsity"])["value"].mean()
    pruned = averages[averages["sparsity"] > 0].set_index(["model", "sparsity"]).index
    return floors if len(pruned) and pruned.isin(floors.index).all() else None


def recovered_shares(averages: pd.DataFrame) -> list[float]:
    """100 (value - floor) / (dense value - floor) of each row of `averages`.

    The floor is that of `random_floors`, or else column `chance`. Below 0 for a result below the
    floor, above 100 for one above the dense model, NaN where the dense model or the floor is
    unknown, or the former is not above the latter.
    """
    dense = averages[averages["method"] == DENSE].drop_duplicates("model").set_index("model")
    tops, floors = averages["model"].map(dense["value"]), random_floors(averages)
    floor = averages["chance"]
    if floors is not None:
        places = pd.MultiIndex.from_frame(averages[["model", "sparsity"]])
        floor = pd.Series(floors.reindex(places).to_numpy(), index=averages.index)
        # of the dense model, which recovers all of itself
        floor = floor.mask(averages["method"] == DENSE, 0.0)
    # not above the floor: also where it is NaN
    span = (tops - floor).where(tops > floor)
    return (100 * (averages["value"] - floor) / span).astype(float).tolist()


@dataclass(frozen=True)
class Paired:
    """Difference of two average accuracies in percentage points, and each item's influence on it.

    Influences are scaled so that their squares sum to an unbiased variance of the difference.
    `parts` are what each measure (task) adds to the difference; `seeds` is its variance over
    training seeds, 0 where that is unknown.
    """

    difference: float
    influence: pd.Series = field(repr=False)
    parts: pd.Series = field(repr=False)
    seeds: float = 0.0

    @property
    def item_error(self) -> float:
        """Standard error of the difference, in percentage points, for independent items."""
        return float(np.sqrt(np.square(self.influence).sum()))

    @property
    def standard_error(self) -> float:
        """Standard error over items and seeds."""
        return math.hypot(self.item_error, math.sqrt(self.seeds))

    @property
    def p_value(self) -> float:
        """Two-sided p value of no difference, by the normal approximation."""
        return two_sided(self.difference, self.standard_error)


def compare(first: pd.DataFrame, second: pd.DataFrame) -> Paired:
    """First minus second, of scores with one row per item and one column per seed.

    Seeds are averaged, then items of a measure, then measures. Raises ValueError where the two, or
    two seeds, have different items.
    """
    ours, theirs = _mean_over_seeds(first), _mean_over_seeds(second)
    if not ours.index.sort_values().equals(theirs.index.sort_values()):
        raise ValueError("the two checkpoints did not answer the same items: evaluate both again")
    return _mean_of(ours - theirs)


def leads(ours: Sequence[pd.DataFrame], theirs: Sequence[pd.DataFrame]) -> list[Paired]:
    """Differences cell by cell, with the variances over the seeds of both (`between_seeds`)."""
    variances = [between_seeds(ours) or 0.0, between_seeds(theirs) or 0.0]
    found = []
    for first, second in zip(ours, theirs, strict=True):
        seeds = sum(v / s.shape[1] for v, s in zip(variances, (first, second), strict=True))
        found.append(replace(compare(first, second), seeds=seeds))
    return found


def average(scores: pd.DataFrame) -> Paired:
    """Average accuracy of one checkpoint, as its difference to one that is never right."""
    return _mean_of(_mean_over_seeds(scores))


def combine(parts: Iterable[Paired]) -> Paired:
    """Mean of several differences, clustered by item: an item in several parts is one draw."""
    found = list(parts)
    influence = pd.concat([part.influence / len(found) for part in found])
    together = influence.groupby(level=list(range(influence.index.nlevels)), sort=False).sum()
    by_measure = pd.concat([part.parts for part in found]).groupby(level=0, sort=False).sum()
    difference = float(np.mean([part.difference for part in found]))
    seeds = sum(part.seeds for part in found) / len(found) ** 2
    return Paired(difference, together, by_measure / len(found), seeds)


def between_seeds(cells: Iterable[pd.DataFrame]) -> float | None:
    """Variance of an average accuracy between trainings; None where no cell has two.

    `cells` are scores of one method, one column per seed. Two trainings whose averages differ by d,
    with a paired error e, estimate (d^2 - e^2) / 2: the mean over pairs, pooled over cells by their
    degrees of freedom, and not below 0.
    """
    total, freedom = 0.0, 0
    for scores in cells:
        pairs = [compare(scores[[a]], scores[[b]]) for a, b in combinations(scores.columns, 2)]
        if pairs:
            found = [(pair.difference**2 - pair.standard_error**2) / 2 for pair in pairs]
            total += float(np.mean(found)) * (scores.shape[1] - 1)
            freedom += scores.shape[1] - 1
    return max(0.0, total / freedom) if freedom else None


def two_sided(difference: float, error: float) -> float:
    """Two-sided p value of a difference with this standard error, by the normal distribution."""
    if error == 0:
        return 1.0 if difference == 0 else 0.0
    return math.erfc(abs(difference) / error / math.sqrt(2))


def holm(p_values: Sequence[float]) -> list[float]:
    """p values adjusted for their number (Holm 1979), in the given order."""
    adjusted, largest = [0.0] * len(p_values), 0.0
    for place, index in enumerate(np.argsort(p_values)):
        largest = max(largest, min(1.0, (len(p_values) - place) * p_values[index]))
        adjusted[index] = largest
    return adjusted


def _mean_over_seeds(scores: pd.DataFrame) -> pd.Series:
    """Mean score of each item; items that no seed answered belong to other cells."""
    answered = scores.dropna(how="all")
    if answered.isna().any(axis=None):
        raise ValueError("the seeds of a checkpoint did not answer the same items: evaluate again")
    return answered.mean(axis=1)


def _mean_of(differences: pd.Series) -> Paired:
    """Mean over measures of the mean over their items."""
    by_measure = differences.groupby(level=0, sort=False)
    measures = by_measure.ngroups
    count = by_measure.transform("size")
    # the variance of n items is their squared deviations by n - 1
    scale = 100 * np.sqrt(count / np.maximum(1, count - 1)) / count / measures
    influence = scale * (differences - by_measure.transform("mean"))
    parts = 100 * by_measure.mean() / measures
    return Paired(float(100 * by_measure.mean().mean()), influence, parts)
