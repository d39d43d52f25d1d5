"""Means and ranks of the leaderboard, against numbers by hand."""

import math

import pytest

from leap_suite.results.frame import Results
from leap_suite.tables.leaderboard import leaderboard, leaderboard_lines
from tests.unit.made import part_of
from tests.unit.results.example import TASKS, ran, results

CHANCE = {name: {**task, "chance": 0.4} for name, task in TASKS.items()}
CELLS = [
    ran("dense", 0.9, model="a"),
    ran("dense", 0.8, model="b"),
    ran("leap", 0.70, 4.0, model="a", wall=10.0),
    ran("leap", 0.74, 9.0, model="a", seed=1, wall=20.0),
    ran("leap", 0.60, 8.0, model="b", wall=10.0),
    ran("wanda", 0.72, 3.0, model="a"),
    ran("wanda", 0.50, 27.0, model="b"),
    ran("random-mask", 0.30, 1.0, model="a"),
    ran("random-mask", 0.40, 1.0, model="b"),
    ran("admm", 0.99, 1.0, model="a"),  # not run on b
]


def test_rows_are_means_over_places_of_means_over_seeds():
    leap, wanda = leaderboard(results(CELLS, CHANCE)).itertuples()
    assert (leap.method, wanda.method) == ("leap", "wanda")
    assert (leap.average, wanda.average) == pytest.approx(((72 + 60) / 2, 61))
    # tied on a, first and second on b
    assert (leap.rank, wanda.rank) == (1.25, 1.75)
    assert leap.recovered_share == pytest.approx((100 * 42 / 60 + 100 * 20 / 40) / 2)
    assert leap.ppl == pytest.approx(math.sqrt(math.sqrt(4 * 9) * 8))
    assert wanda.ppl == pytest.approx(9)
    assert leap.wall_seconds == pytest.approx((15 + 10) / 2)


def test_the_dense_model_is_above_the_methods_at_their_places_and_has_no_rank():
    lines = leaderboard_lines(results(CELLS, CHANCE))
    # a has one sparsity, b one: 90 and 80 count alike, and twice as much where there are two
    assert lines[2] == "| – | Dense | 85.00 | – | 100.00 | 10.00 | – |"
    more = [*CELLS, ran("leap", 0.5, sparsity="0.6", model="a")]
    assert leaderboard_lines(results(more, CHANCE))[2].startswith("| – | Dense | 86.67 |")
    assert "Dense" not in "".join(leaderboard_lines(results(CELLS[2:], TASKS)))
    partly = [*CELLS[:2], ran("leap", model="a"), ran("wanda", model="b")]
    assert len(leaderboard_lines(results(partly))) == 2, "no method was run everywhere"


def test_unknown_numbers_are_dashes_and_without_methods_there_are_no_rows():
    found = results(CELLS, CHANCE)
    known = ~found.frame["measure"].isin(["wall_seconds", "recovered_share"])
    head, _, _, _, line = leaderboard_lines(Results(found.frame[known], found.items))
    assert head.startswith("| # | Method | Accuracy | Mean rank |")
    assert line == "| 2 | Wanda | 61.00 | 1.75 | – | 9.00 | – |"
    assert len(leaderboard_lines(part_of(found, found.cells["method"] == "dense"))) == 2
