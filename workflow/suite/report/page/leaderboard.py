"""The leaderboard: one line a method, in the mean over the models and sparsities that all have."""

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from suite.plan.cell import DENSE, Cell
from suite.tables.evaluations import Evaluated
from suite.tables.places import Places, mean_over, places_of
from suite.tables.recovered import recovered_shares
from suite.tables.seconds import Seconds, mean_seconds


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
    counted = (r.cell.method for r in results if r.cell.method != DENSE and not r.control)
    ranked = dict.fromkeys(counted)
    found = {method: places_of(results, method) for method in ranked}
    every = {place for places in found.values() for place in places}
    whole = {method: places for method, places in found.items() if places.keys() == every}
    ranks = _ranks(whole, every)
    lines = [_line(method, whole[method], ranks[method], shares, seconds) for method in whole]
    return sorted(lines, key=lambda line: -line.accuracy)


def _ranks(found: Mapping[str, Places], every: set[tuple[str, str]]) -> dict[str, list[float]]:
    """Each method's ranks, one a place; methods that are even share the mean of theirs."""
    ranks: dict[str, list[float]] = {method: [] for method in found}
    for place in every:
        scores = {m: statistics.fmean(r.average for r in of[place]) for m, of in found.items()}
        for method, score in scores.items():
            better = sum(other > score for other in scores.values())
            even = sum(other == score for other in scores.values())
            ranks[method].append(better + (even + 1) / 2)
    return ranks


def _line(
    method: str,
    places: Places,
    ranks: Sequence[float],
    shares: Mapping[Cell, float],
    seconds: Mapping[Cell, Seconds],
) -> Line:
    cells = [result.cell for seeds in places.values() for result in seeds]
    return Line(
        method,
        statistics.fmean(ranks),
        mean_over(places, lambda result: result.average),
        mean_over(places, lambda result: shares[result.cell]),
        math.exp(mean_over(places, lambda result: math.log(result.perplexity))),
        mean_seconds(cells, seconds).wall,
    )
