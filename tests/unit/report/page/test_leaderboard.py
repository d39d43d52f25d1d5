"""Means and ranks by method, against those by hand."""

import math

import pytest

from suite.plan.cell import Cell
from suite.report.page.leaderboard import leaderboard
from suite.tables.evaluations import TASKS, Evaluated
from suite.tables.seconds import Seconds


def result(model, method, sparsity, accuracy, perplexity, seed=0, implementation=""):
    same = dict.fromkeys(TASKS, accuracy)
    none = dict.fromkeys(TASKS, 0.0)
    chance = dict.fromkeys(TASKS, 40.0)
    cell = Cell.at(model, method, sparsity, seed)
    return Evaluated(
        cell, sparsity, perplexity, 0.1, same, none, {}, {}, chance, implementation=implementation
    )


RESULTS = [
    result("a", "dense", 0.0, 90, 2),
    result("b", "dense", 0.0, 80, 2),
    result("a", "leap", 0.5, 70, 4, seed=0),
    result("a", "leap", 0.5, 74, 9, seed=1),
    result("b", "leap", 0.5, 60, 8),
    result("a", "wanda", 0.5, 72, 3),
    result("b", "wanda", 0.5, 50, 27),
    result("a", "random-mask", 0.5, 95, 1),
    result("b", "random-mask", 0.5, 95, 1),
    result("a", "admm", 0.5, 99, 1),  # has not been run on b
]


def test_lines_are_means_over_places_of_means_over_seeds():
    seconds = {r.cell: Seconds(wall=10.0 * (1 + r.cell.seed)) for r in RESULTS}
    leap, wanda = leaderboard(RESULTS, seconds)
    assert (leap.method, wanda.method) == ("leap", "wanda")
    assert leap.accuracy == pytest.approx((72 + 60) / 2)
    assert wanda.accuracy == pytest.approx(61)
    # even on a, first and second on b
    assert (leap.rank, wanda.rank) == (1.25, 1.75)
    shares = [100 * 32 / 50, 100 * 20 / 40]
    assert leap.recovered == pytest.approx(sum(shares) / 2)
    assert leap.perplexity == pytest.approx(math.sqrt(math.sqrt(4 * 9) * 8))
    assert wanda.perplexity == pytest.approx(9)
    assert leap.seconds == pytest.approx(40 / 3)


def test_a_control_by_another_name_is_not_ranked():
    ranks = {}
    for implementation in ("random-mask", "wanda"):
        coin = [result(m, "coin", 0.5, 95, 1, implementation=implementation) for m in "ab"]
        found = leaderboard([*RESULTS, *coin], {})
        ranks[implementation] = {line.method: line.rank for line in found}
    assert ranks["random-mask"] == {"leap": 1.25, "wanda": 1.75}
    assert ranks["wanda"] == {"coin": 1, "leap": 2.25, "wanda": 2.75}


def test_seconds_that_were_not_recorded_are_none():
    assert all(math.isnan(line.seconds) for line in leaderboard(RESULTS, {}))
    assert leaderboard(RESULTS[:2], {}) == []
