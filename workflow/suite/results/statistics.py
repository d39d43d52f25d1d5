"""Means over seeds and cells, recovered shares, and paired, item-clustered standard errors.

Standard errors are over draws of items. The influence of each item on a difference is summed over
cells that share the item before it is squared: the cluster-robust variance of Liang and Zeger
(1986), as in Miller (2024), "Adding error bars to evals", arXiv 2411.00640.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from suite.plan.cell import DENSE

RECOVERED = (
    "Recovered: 100 (average - chance) / (dense average - chance); chance is what guessing evenly "
    "among an item's choices scores, averaged as the accuracy is. None where the dense model is "
    "not above chance, or where chance was not recorded."
)


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


def recovered_shares(averages: pd.DataFrame) -> list[float]:
    """Recovered shares (see `RECOVERED`) of rows with `model`, `method`, `value` and `chance`.

    Below 0 for a result below chance, above 100 for one above the dense model, else NaN if unknown.
    """
    dense = averages[averages["method"] == DENSE].drop_duplicates("model").set_index("model")
    tops = averages["model"].map(dense["value"] - dense["chance"])
    # not above chance: also where chance is NaN
    above = averages["value"] - averages["chance"]
    return (100 * above / tops.where(tops > 0)).astype(float).tolist()


@dataclass(frozen=True)
class Paired:
    """Difference of two average accuracies in percentage points, and each item's influence on it.

    Influences are scaled so that their squares sum to an unbiased variance of the difference.
    """

    difference: float
    influence: pd.Series = field(repr=False)

    @property
    def standard_error(self) -> float:
        """Standard error of the difference, in percentage points, for independent items."""
        return float(np.sqrt(np.square(self.influence).sum()))

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


def average(scores: pd.DataFrame) -> Paired:
    """Average accuracy of one checkpoint, as its difference to one that is never right."""
    return _mean_of(_mean_over_seeds(scores))


def combine(parts: Iterable[Paired]) -> Paired:
    """Mean of several differences, clustered by item: an item in several parts is one draw."""
    found = list(parts)
    influence = pd.concat([part.influence / len(found) for part in found])
    together = influence.groupby(level=list(range(influence.index.nlevels)), sort=False).sum()
    return Paired(float(np.mean([part.difference for part in found])), together)


def two_sided(difference: float, error: float) -> float:
    """Two-sided p value of a difference with this standard error, by the normal distribution."""
    if error == 0:
        return 1.0 if difference == 0 else 0.0
    return math.erfc(abs(difference) / error / math.sqrt(2))


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
    return Paired(float(100 * by_measure.mean().mean()), influence)
