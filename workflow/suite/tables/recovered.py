"""Recovered share: how much of the dense model's average accuracy above chance a cell keeps.

Of the average only: on a single task a small dense model may be below chance.
"""

import math
from collections.abc import Sequence

from suite.plan.cell import DENSE
from suite.tables.evaluations import Evaluated

DEFINITION = (
    "Recovered: 100 (average - chance) / (dense average - chance); chance is what guessing evenly "
    "among an item's choices scores, averaged as the accuracy is. None where the dense model is "
    "not above chance, or where chance was not recorded."
)


def recovered_shares(results: Sequence[Evaluated]) -> list[float]:
    """The share of each result, in percent, as `DEFINITION` has it; NaN where there is none.

    It is below 0 for a result below chance, and above 100 for one above the dense model, which is
    the one among `results`.
    """
    dense = {result.cell.model: result for result in results if result.cell.method == DENSE}
    return [_share(result, dense.get(result.cell.model)) for result in results]


def _share(result: Evaluated, dense: Evaluated | None) -> float:
    # not above chance: also where chance is NaN
    if dense is None or not dense.average > dense.chance_average:
        return math.nan
    above, of_dense = (each.average - each.chance_average for each in (result, dense))
    return 100 * above / of_dense
