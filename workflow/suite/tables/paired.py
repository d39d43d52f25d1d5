"""Comparing two checkpoints on the very same items: smaller errors than from two accuracies.

The errors are those of another draw of items. Each item's influence on a difference is kept: over
several cells, such as models that answered the same items, it adds up before it is squared. That
is the variance clustered by item of Liang and Zeger (1986), as Miller (2024), "Adding error bars to
evals", has it for questions that belong together.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from suite.artifacts.items import Items

# (column of the tables, task or subtask, number of the item)
Item = tuple[str, str, int]


@dataclass(frozen=True)
class Paired:
    """Difference of two average accuracies in percentage points, and what each item adds to it.

    `influence` is the item's share in the deviation of the difference from what it is on average
    over draws of items, scaled so that its squares add up to an unbiased variance.
    """

    difference: float
    influence: Mapping[Item, float] = field(repr=False)

    @property
    def standard_error(self) -> float:
        """Of the difference, in percentage points; items are taken as independent draws."""
        return math.sqrt(math.fsum(value**2 for value in self.influence.values()))

    @property
    def p_value(self) -> float:
        """Two-sided, of the hypothesis of no difference, by the normal approximation."""
        return two_sided(self.difference, self.standard_error)


def compare(first: Sequence[Items], second: Sequence[Items]) -> Paired:
    """First minus second; each is a list of one or more seeds, which are averaged item by item.

    The average is the plain mean of the columns' accuracies, a column's the mean of its items.
    Raises ValueError where the two have other items.
    """
    one, other = _mean_by_column(first), _mean_by_column(second)
    if {c: v.keys() for c, v in one.items()} != {c: v.keys() for c, v in other.items()}:
        raise ValueError("the two checkpoints did not answer the same items: evaluate both again")
    return _mean_of(
        {
            column: {item: value - other[column][item] for item, value in items.items()}
            for column, items in one.items()
        }
    )


def average(seeds: Sequence[Items]) -> Paired:
    """The average accuracy of one checkpoint, as its difference to one that is never right."""
    return _mean_of(_mean_by_column(seeds))


def combine(parts: Sequence[Paired]) -> Paired:
    """The mean of several differences, clustered by item.

    What the parts have in common is one draw and no more: parts of the same items that agree have
    together the error of one, parts that share no item are independent.
    """
    influence: dict[Item, float] = {}
    for part in parts:
        for item, value in part.influence.items():
            influence[item] = influence.get(item, 0.0) + value / len(parts)
    return Paired(math.fsum(part.difference for part in parts) / len(parts), influence)


def two_sided(difference: float, error: float) -> float:
    """Probability of a normal deviation at least as large as `difference`."""
    if error == 0:
        return 1.0 if difference == 0 else 0.0
    return math.erfc(abs(difference) / error / math.sqrt(2))


def _mean_of(differences: Mapping[str, Mapping[tuple[str, int], float]]) -> Paired:
    """The mean over columns of the mean over their items."""
    difference = 0.0
    influence: dict[Item, float] = {}
    for column, items in differences.items():
        count = len(items)
        mean = math.fsum(items.values()) / count
        difference += mean / len(differences)
        # the variance of n items is their squared deviations by n - 1
        scale = 100 * math.sqrt(count / max(1, count - 1)) / count / len(differences)
        for (task, item), value in items.items():
            influence[column, task, item] = scale * (value - mean)
    return Paired(100 * difference, influence)


def _mean_by_column(seeds: Sequence[Items]) -> Mapping[str, dict[tuple[str, int], float]]:
    sums: dict[str, dict[tuple[str, int], float]] = {}
    for items in seeds:
        for column, tasks in items.items():
            of_column = sums.setdefault(column, {})
            for task, correct in tasks.items():
                for item, value in correct.items():
                    of_column[task, item] = of_column.get((task, item), 0.0) + value / len(seeds)
    return sums
