"""Power: smallest difference of two methods that a number of items can detect.

On one item, two methods differ by 1, 0 or -1. With the variance v_t of this difference in task t
and n_t items, the difference of average accuracies over T tasks has the standard error
sqrt(sum of v_t / n_t) / T. A two-sided test at 5 % detects a true difference of 1.960 + 0.842
standard errors in 80 % of draws: Miller (2024), "Adding error bars to evals", arXiv 2411.00640.

    PYTHONPATH=.:workflow python -m leap_suite.tables.power A.csv.gz B.csv.gz piqa=1000,mmlu=570

prints it for the items that both answered, and for planned numbers of items; unnamed tasks keep
theirs. A and B are files of `results/<run>/items`.
"""

import math
import statistics
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from leap_suite.results.frame import ITEM, read_items
from leap_suite.results.statistics import Paired, compare
from leap_suite.tables import entries

LEVEL, POWER = 0.05, 0.8


def variances(paired: Paired) -> dict[str, float]:
    """Variance of an item's difference by task. Raises ValueError for a task with one item."""
    counts = items_of(paired)
    if single := [task for task, count in counts.items() if count < 2]:
        raise ValueError(f"{', '.join(single)}: a variance takes two items")
    # an item's influence is its deviation, by the items of its task and the tasks
    squares = paired.influence.pow(2).groupby(level="measure", sort=False).sum()
    return {task: counts[task] * float(squares[task]) * (len(counts) / 100) ** 2 for task in counts}


def items_of(paired: Paired) -> dict[str, int]:
    """Number of items by task."""
    return paired.influence.groupby(level="measure", sort=False).size().to_dict()


def standard_error(variance: Mapping[str, float], items: Mapping[str, int]) -> float:
    """Standard error of the difference of average accuracies in points, given items per task."""
    return 100 * math.sqrt(math.fsum(v / items[c] for c, v in variance.items())) / len(variance)


def smallest_difference(variance: Mapping[str, float], items: Mapping[str, int]) -> float:
    """Difference in points that is detected with 80 % power at the 5 % level, given items."""
    normal = statistics.NormalDist()
    factor = normal.inv_cdf(1 - LEVEL / 2) + normal.inv_cdf(POWER)
    return factor * standard_error(variance, items)


def table(paired: Paired, plans: Sequence[Mapping[str, int]]) -> str:
    """Markdown table of the evaluated items and of each plan."""
    variance, asked = variances(paired), items_of(paired)
    heads = [*asked, "Items in all", "Standard error", "Smallest difference seen"]
    rows = []
    for plan in ({}, *plans):
        items = {**asked, **plan}
        if unknown := items.keys() - asked.keys():
            raise ValueError(
                f"no items of {', '.join(sorted(unknown))}: there are {', '.join(asked)}"
            )
        values = (standard_error(variance, items), smallest_difference(variance, items))
        counts = [*items.values(), sum(items.values())]
        rows.append([*(f"{count:,}" for count in counts), *(f"{value:.2f}" for value in values)])
    return "\n".join(entries.table(heads, rows, "r" * len(heads)))


def _plan(text: str) -> dict[str, int]:
    try:
        plan = {column: int(count) for column, count in (p.split("=") for p in text.split(","))}
    except ValueError:
        plan = {}
    if not plan or min(plan.values()) < 1:
        raise ValueError(f"{text!r} is no plan: write column=items,column=items")
    return plan


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    try:
        one, other = (read_items(Path(name)).set_index(ITEM) for name in sys.argv[1:3])
        print(table(compare(one, other), [_plan(text) for text in sys.argv[3:]]))
    except (OSError, ValueError) as error:
        sys.exit(str(error))
