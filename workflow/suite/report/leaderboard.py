"""The leaderboard: one line a method, in the mean over the models and sparsities that all have."""

import math
import statistics
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from suite.plan.cell import DENSE, Cell
from suite.plan.methods import is_control
from suite.tables.evaluations import Evaluated
from suite.tables.recovered import recovered_shares
from suite.tables.seconds import Seconds, mean_seconds

Place = tuple[str, str]  # model, sparsity


@dataclass(frozen=True)
class Line:
    """A method's means. Accuracy and recovered share are in percent; perplexity's is geometric.

    `rank` is the mean of its ranks by average accuracy, 1 the best; `seconds` is the wall time of
    the job that prunes or trains. NaN where something was not recorded.
    """

    method: str
    rank: float
    accuracy: float
    recovered: float
    perplexity: float
    seconds: float


def leaderboard(results: Sequence[Evaluated], seconds: Mapping[Cell, Seconds]) -> list[Line]:
    """The lines, best accuracy first; seeds are averaged.

    Left out are the dense model, controls, and methods that lack a place which another one has.
    """
    shares = dict(zip((r.cell for r in results), recovered_shares(results), strict=True))
    found: dict[str, dict[Place, list[Evaluated]]] = defaultdict(lambda: defaultdict(list))
    for result in results:
        if result.cell.method != DENSE and not is_control(result.cell.method):
            found[result.cell.method][result.cell.model, result.cell.sparsity].append(result)
    places = {place for of_method in found.values() for place in of_method}
    whole = {method: of for method, of in found.items() if of.keys() == places}
    ranks = _ranks(whole, places)
    lines = [_line(method, whole[method], ranks[method], shares, seconds) for method in whole]
    return sorted(lines, key=lambda line: -line.accuracy)


def _ranks(
    found: Mapping[str, Mapping[Place, Sequence[Evaluated]]], places: set[Place]
) -> dict[str, list[float]]:
    """Each method's ranks, one a place; methods that are even share the mean of theirs."""
    ranks: dict[str, list[float]] = {method: [] for method in found}
    for place in places:
        scores = {m: statistics.fmean(r.average for r in of[place]) for m, of in found.items()}
        for method, score in scores.items():
            better = sum(other > score for other in scores.values())
            even = sum(other == score for other in scores.values())
            ranks[method].append(better + (even + 1) / 2)
    return ranks


def _line(
    method: str,
    places: Mapping[Place, Sequence[Evaluated]],
    ranks: Sequence[float],
    shares: Mapping[Cell, float],
    seconds: Mapping[Cell, Seconds],
) -> Line:
    def mean(values: Sequence[Sequence[float]]) -> float:
        return statistics.fmean(statistics.fmean(seeds) for seeds in values)

    cells = [[result.cell for result in seeds] for seeds in places.values()]
    logs = [[math.log(result.perplexity) for result in seeds] for seeds in places.values()]
    return Line(
        method,
        statistics.fmean(ranks),
        mean([[result.average for result in seeds] for seeds in places.values()]),
        mean([[shares[cell] for cell in seeds] for seeds in cells]),
        math.exp(mean(logs)),
        mean_seconds([cell for seeds in cells for cell in seeds], seconds).wall,
    )
