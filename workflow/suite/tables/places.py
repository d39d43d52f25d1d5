"""A method's results by place, and means in which each place counts the same."""

import statistics
from collections.abc import Callable, Mapping, Sequence

from suite.tables.evaluations import Evaluated

# (model, sparsity) -> the seeds
Places = Mapping[tuple[str, str], Sequence[Evaluated]]


def places_of(results: Sequence[Evaluated], method: str) -> Places:
    """The results of a method, in their order."""
    found: dict[tuple[str, str], list[Evaluated]] = {}
    for result in results:
        if result.cell.method == method:
            found.setdefault((result.cell.model, result.cell.sparsity), []).append(result)
    return found


def mean_over(places: Places, value: Callable[[Evaluated], float]) -> float:
    """Over seeds, then over places."""
    return statistics.fmean(statistics.fmean(map(value, seeds)) for seeds in places.values())
