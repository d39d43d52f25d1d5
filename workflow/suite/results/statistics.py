"""Means over seeds and places, recovered shares, and errors of differences, paired by item.

The errors are those of another draw of items. Each item's influence on a difference is kept: over
several cells, such as models that answered the same items, it adds up before it is squared. That
is the variance clustered by item of Liang and Zeger (1986), as Miller (2024), "Adding error bars to
evals", arXiv 2411.00640, has it for questions that belong together.
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
    """Means over seeds: a row a model, sparsity and method, in the order of `cells`.

    A measure's `_stderr` is averaged too: all seeds answer the same items, so that more of them do
    not make it smaller. What no cell has is NaN.
    """
    groups = cells.groupby(["model", "sparsity", "method"], sort=False)
    known = [measure for measure in measures if measure in cells]
    return groups[known].mean().reindex(columns=list(measures))


def over_places(cells: pd.DataFrame, measure: str, geometric: bool = False) -> float:
    """Of one method: the mean over seeds, then over places, each counting the same.

    NaN where the measure is not known of every cell.
    """
    if measure not in cells or cells[measure].isna().any():
        return math.nan
    values = np.log(cells[measure]) if geometric else cells[measure]
    mean = values.groupby([cells["model"], cells["sparsity"]]).mean().mean()
    return float(np.exp(mean)) if geometric else float(mean)


def recovered_shares(averages: pd.DataFrame) -> list[float]:
    """Of rows with `model`, `method`, `value` and `chance`: `RECOVERED`, NaN where there is none.

    It is below 0 for a result below chance, and above 100 for one above the dense model.
    """
    dense = averages[averages["method"] == DENSE].drop_duplicates("model").set_index("model")
    tops = averages["model"].map(dense["value"] - dense["chance"])
    # not above chance: also where chance is NaN
    above = averages["value"] - averages["chance"]
    return (100 * above / tops.where(tops > 0)).astype(float).tolist()


@dataclass(frozen=True)
class Paired:
    """Difference of two average accuracies in percentage points, and what each item adds to it.

    `influence` is the item's share in the deviation of the difference from what it is on average
    over draws of items, scaled so that its squares add up to an unbiased variance.
    """

    difference: float
    influence: pd.Series = field(repr=False)

    @property
    def standard_error(self) -> float:
        """Of the difference, in percentage points; items are taken as independent draws."""
        return float(np.sqrt(np.square(self.influence).sum()))

    @property
    def p_value(self) -> float:
        """Two-sided, of the hypothesis of no difference, by the normal approximation."""
        return two_sided(self.difference, self.standard_error)


def compare(first: pd.DataFrame, second: pd.DataFrame) -> Paired:
    """First minus second, of scores with a row an item and a column a seed, which are averaged.

    The average is the plain mean of the measures' scores, a measure's the mean of its items. Raises
    ValueError where the two, or two seeds, have other items.
    """
    ours, theirs = _mean_over_seeds(first), _mean_over_seeds(second)
    if not ours.index.sort_values().equals(theirs.index.sort_values()):
        raise ValueError("the two checkpoints did not answer the same items: evaluate both again")
    return _mean_of(ours - theirs)


def average(scores: pd.DataFrame) -> Paired:
    """The average accuracy of one checkpoint, as its difference to one that is never right."""
    return _mean_of(_mean_over_seeds(scores))


def combine(parts: Iterable[Paired]) -> Paired:
    """The mean of several differences, clustered by item.

    What the parts have in common is one draw and no more: parts of the same items that agree have
    together the error of one, parts that share no item are independent.
    """
    found = list(parts)
    influence = pd.concat([part.influence / len(found) for part in found])
    together = influence.groupby(level=list(range(influence.index.nlevels)), sort=False).sum()
    return Paired(float(np.mean([part.difference for part in found])), together)


def two_sided(difference: float, error: float) -> float:
    """Probability of a normal deviation at least as large as `difference`."""
    if error == 0:
        return 1.0 if difference == 0 else 0.0
    return math.erfc(abs(difference) / error / math.sqrt(2))


def _mean_over_seeds(scores: pd.DataFrame) -> pd.Series:
    """Item by item; what no seed answered is another model's or sparsity's."""
    answered = scores.dropna(how="all")
    if answered.isna().any(axis=None):
        raise ValueError("the seeds of a checkpoint did not answer the same items: evaluate again")
    return answered.mean(axis=1)


def _mean_of(differences: pd.Series) -> Paired:
    """The mean over measures of the mean over their items."""
    by_measure = differences.groupby(level=0, sort=False)
    measures = by_measure.ngroups
    count = by_measure.transform("size")
    # the variance of n items is their squared deviations by n - 1
    scale = 100 * np.sqrt(count / np.maximum(1, count - 1)) / count / measures
    influence = scale * (differences - by_measure.transform("mean"))
    return Paired(float(100 * by_measure.mean().mean()), influence)
