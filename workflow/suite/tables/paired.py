"""Comparing two checkpoints on the very same items: smaller errors than from two accuracies."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from suite.artifacts.items import Items


@dataclass(frozen=True)
class Paired:
    """Difference of two average accuracies in percentage points, its standard error, and p.

    p is two-sided, of the hypothesis that there is no difference, by the normal approximation.
    """

    difference: float
    standard_error: float
    p_value: float


def compare(first: Sequence[Items], second: Sequence[Items]) -> Paired:
    """First minus second; each is a list of one or more seeds, which are averaged item by item.

    The average is the plain mean of the columns' accuracies, a column's the mean of its items.
    Items are taken as independent draws. Raises ValueError where the two have other items.
    """
    one, other = _mean_by_column(first), _mean_by_column(second)
    if {c: v.keys() for c, v in one.items()} != {c: v.keys() for c, v in other.items()}:
        raise ValueError("the two checkpoints did not answer the same items: evaluate both again")
    difference = variance = 0.0
    for column, items in one.items():
        differences = [value - other[column][item] for item, value in items.items()]
        mean = math.fsum(differences) / len(differences)
        difference += mean / len(one)
        squares = math.fsum((d - mean) ** 2 for d in differences)
        variance += squares / max(1, len(differences) - 1) / len(differences) / len(one) ** 2
    error = math.sqrt(variance)
    return Paired(100 * difference, 100 * error, two_sided(difference, error))


def combine(parts: Sequence[Paired]) -> Paired:
    """The mean of several differences, taken as independent of each other."""
    difference = math.fsum(part.difference for part in parts) / len(parts)
    error = math.sqrt(math.fsum(part.standard_error**2 for part in parts)) / len(parts)
    return Paired(difference, error, two_sided(difference, error))


def two_sided(difference: float, error: float) -> float:
    """Probability of a normal deviation at least as large as `difference`."""
    if error == 0:
        return 1.0 if difference == 0 else 0.0
    return math.erfc(abs(difference) / error / math.sqrt(2))


def _mean_by_column(seeds: Sequence[Items]) -> Mapping[str, dict[tuple[str, int], float]]:
    sums: dict[str, dict[tuple[str, int], float]] = {}
    for items in seeds:
        for column, tasks in items.items():
            of_column = sums.setdefault(column, {})
            for task, correct in tasks.items():
                for item, value in correct.items():
                    of_column[task, item] = of_column.get((task, item), 0.0) + value / len(seeds)
    return sums
