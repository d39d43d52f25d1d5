"""The smallest difference of two methods that a number of items can show, from answers so far.

On one item two methods differ by 1, 0 or -1. With v_t, the variance of that among the items of
task t, and n_t of its items asked, the difference of the average accuracies over T tasks has the
standard error sqrt(sum of v_t / n_t) / T. A two-sided test at 5 % finds a true difference of
1.960 + 0.842 standard errors in 80 % of all draws of items: Miller (2024), "Adding error bars to
evals", arXiv 2411.00640.

    PYTHONPATH=.:workflow python -m suite.tables.power A.csv.gz B.csv.gz piqa=1000,mmlu=570

prints it for the items that both answered, and for other numbers of items; what is not named keeps
the number that it has. A and B are files of `results/<run>/items`.
"""

import math
import statistics
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from suite.artifacts.items import Items, read_items

LEVEL, POWER = 0.05, 0.8


def variances(first: Items, second: Items) -> dict[str, float]:
    """Of an item's difference, in each column. Raises ValueError where items differ or are one."""
    found = {}
    for column, differences in _differences(first, second).items():
        if len(differences) < 2:
            raise ValueError(f"{column}: a variance takes two items")
        found[column] = statistics.variance(differences)
    return found


def standard_error(variance: Mapping[str, float], items: Mapping[str, int]) -> float:
    """Of the difference of two average accuracies, in points, with so many items a column."""
    return 100 * math.sqrt(math.fsum(v / items[c] for c, v in variance.items())) / len(variance)


def smallest_difference(variance: Mapping[str, float], items: Mapping[str, int]) -> float:
    """In points: what is seen in 80 % of all draws of so many items, at a level of 5 %."""
    normal = statistics.NormalDist()
    factor = normal.inv_cdf(1 - LEVEL / 2) + normal.inv_cdf(POWER)
    return factor * standard_error(variance, items)


def table(first: Items, second: Items, plans: Sequence[Mapping[str, int]]) -> str:
    """Markdown: the items that were asked, and then each plan's, with what they can show."""
    variance = variances(first, second)
    asked = {column: len(found) for column, found in _differences(first, second).items()}
    heads = [*asked, "Items in all", "Standard error", "Smallest difference seen"]
    rows = [heads, ["---:"] * len(heads)]
    for plan in ({}, *plans):
        items = {**asked, **plan}
        if unknown := items.keys() - asked.keys():
            raise ValueError(f"no items of {', '.join(sorted(unknown))}: there are {list(asked)}")
        values = (standard_error(variance, items), smallest_difference(variance, items))
        counts = [*items.values(), sum(items.values())]
        rows.append([*(f"{count:,}" for count in counts), *(f"{value:.2f}" for value in values)])
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _differences(first: Items, second: Items) -> dict[str, list[int]]:
    one, other = _by_column(first), _by_column(second)
    if {c: v.keys() for c, v in one.items()} != {c: v.keys() for c, v in other.items()}:
        raise ValueError("the two did not answer the same items")
    return {c: [right - other[c][item] for item, right in v.items()] for c, v in one.items()}


def _by_column(items: Items) -> dict[str, dict[tuple[str, int], int]]:
    return {
        column: {
            (task, item): right
            for task, of_task in tasks.items()
            for item, right in of_task.items()
        }
        for column, tasks in items.items()
    }


def _plan(text: str) -> dict[str, int]:
    try:
        return {column: int(count) for column, count in (p.split("=") for p in text.split(","))}
    except ValueError:
        sys.exit(f"{text!r} is no plan: write column=items,column=items")


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    answered = [read_items(Path(name)) for name in sys.argv[1:3]]
    try:
        print(table(answered[0], answered[1], [_plan(text) for text in sys.argv[3:]]))
    except ValueError as error:
        sys.exit(str(error))
