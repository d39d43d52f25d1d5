"""Means and ranks by method, against those by hand."""

import math

import pytest

from suite.tables.leaderboard import leaderboard, leaderboard_lines
from tests.unit.made import Made, collected, made, part_of, scored

CELLS = [  # model, method, sparsity, seed, accuracy in percent, perplexity
    ("a", "dense", 0.0, 0, 90, 2),
    ("b", "dense", 0.0, 0, 80, 2),
    ("a", "leap", 0.5, 0, 70, 4),
    ("a", "leap", 0.5, 1, 74, 9),
    ("b", "leap", 0.5, 0, 60, 8),
    ("a", "wanda", 0.5, 0, 72, 3),
    ("b", "wanda", 0.5, 0, 50, 27),
    ("a", "random-mask", 0.5, 0, 95, 1),
    ("b", "random-mask", 0.5, 0, 95, 1),
    ("a", "admm", 0.5, 0, 99, 1),  # has not been run on b
]


def cell(folder, model, method, sparsity, seed, accuracy, ppl, implementation="") -> Made:
    return made(
        folder, model, method, sparsity, seed, ppl=ppl, implementation=implementation,
        tasks={"piqa": scored(accuracy / 100, chance=0.4)},
        cost={"wall_time_seconds": 10.0 * (1 + seed)},
    )  # fmt: skip


@pytest.fixture
def files(tmp_path) -> Made:
    return {path: of for each in CELLS for path, of in cell(tmp_path, *each).items()}


def test_lines_are_means_over_places_of_means_over_seeds(files):
    leap, wanda = leaderboard(collected(files)).itertuples()
    assert (leap.method, wanda.method) == ("leap", "wanda")
    assert (leap.average, wanda.average) == pytest.approx(((72 + 60) / 2, 61))
    # even on a, first and second on b
    assert (leap.rank, wanda.rank) == (1.25, 1.75)
    assert leap.recovered_share == pytest.approx((100 * 32 / 50 + 100 * 20 / 40) / 2)
    assert leap.ppl == pytest.approx(math.sqrt(math.sqrt(4 * 9) * 8))
    assert wanda.ppl == pytest.approx(9)
    assert leap.wall_seconds == pytest.approx((15 + 10) / 2)


@pytest.mark.parametrize(
    ("implementation", "ranks"),
    [
        ("random-mask", {"leap": 1.25, "wanda": 1.75}),
        ("wanda", {"coin": 1, "leap": 2.25, "wanda": 2.75}),
    ],
)
def test_a_control_by_another_name_is_not_ranked(tmp_path, files, implementation, ranks):
    for model in "ab":
        files |= cell(tmp_path, model, "coin", 0.5, 0, 95, 1, implementation)
    lines = leaderboard(collected(files)).itertuples()
    assert {line.method: line.rank for line in lines} == ranks


def test_what_was_not_recorded_is_a_dash_and_nothing_to_rank_no_line(files):
    results = collected(files)
    without = type(results)(
        results.frame[~results.frame["measure"].isin(["wall_seconds", "recovered_share"])],
        results.items,
    )
    *_, line = leaderboard_lines(without)
    assert line == "| 2 | Wanda | 61.00 | 1.75 | – | 9.00 | – |"
    dense = part_of(results, results.cells["method"] == "dense")
    assert len(leaderboard_lines(dense)) == 2, "the head alone"
