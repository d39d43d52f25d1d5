"""Curves of a training against the numbers of its journal."""

import itertools

from suite.report.page.training_curve import BOTTOM, HEIGHT, LEFT, RIGHT, TOP, WIDTH, charts
from suite.tables.trainings import Training


def training(sparsity, losses):
    values = {"lm_loss": losses, "density": [0.5] * len(losses)}
    return Training("m", sparsity, range(len(losses)), values)


def test_points_lie_where_the_values_are():
    loss, density = charts([training("0.6", [5.0, 4.0, 3.0]), training("0.5", [3.0, 2.0, 1.0])])
    low, high = loss.curves
    assert (low.sparsity, high.sparsity) == ("0.5", "0.6")
    places = [(point.x, point.y) for point in high.points]
    right, bottom = WIDTH - RIGHT, HEIGHT - BOTTOM
    middle = (TOP + bottom) / 2
    assert places == [(LEFT, TOP), ((LEFT + right) / 2, TOP + (middle - TOP) / 2), (right, middle)]
    assert low.points[-1].y == bottom
    assert low.points[1].tip == "Sparsity 0.5, step 1: 2.00"
    assert low.ends == "0.5: 3.00 to 1.00"
    assert [label for _, label in loss.y_ticks] == ["1", "2", "3", "4", "5"]
    assert {label: y for y, label in loss.y_ticks}["3"] == middle
    assert density.curves[0].ends == "0.5: 50.00 to 50.00 %"


def test_a_long_training_has_few_points_the_first_and_the_last_among_them():
    (loss, _) = charts([training("0.5", [1.0 + step for step in range(5000)])])
    points = loss.curves[0].points
    assert len(points) == 40
    assert points[0].tip == "Sparsity 0.5, step 0: 1.00"
    assert points[-1].tip == "Sparsity 0.5, step 4999: 4875.50"  # the mean of the last 250
    assert all(a.x < b.x for a, b in itertools.pairwise(points))
    assert 2 <= len(loss.x_ticks) <= 6
    assert charts([]) == []
