"""The recovered share, computed by hand."""

import math
from dataclasses import replace

import pytest

from suite.plan.cell import Cell
from suite.tables.evaluations import TASKS, Evaluated
from suite.tables.recovered import recovered_shares

# in percent; ARC's as of tasks in which a few items have 3 or 5 choices
CHANCE = dict(zip(TASKS, (50.0, 25.1, 24.9, 50.0, 25.0, 25.0), strict=True))


def cell(method, *accuracies, model="m"):
    sparsity = "0.0" if method == "dense" else "0.5"
    accuracy = dict(zip(TASKS, accuracies, strict=True))
    return Evaluated(Cell(model, method, sparsity), float(sparsity), 9.0, 0.1, accuracy,
                     dict.fromkeys(TASKS, 1.0), {}, {}, CHANCE)  # fmt: skip


# average 43.3333; chance averages (50 + 25.1 + 24.9 + 50 + 25 + 25) / 6 = 33.3333
DENSE = cell("dense", 70, 50, 20, 60, 30, 30)


def test_a_share_of_the_average_above_chance_computed_by_hand():
    # average 240 / 6 = 40: of the dense model's 10 points above chance, 40 - 33.3333 are left
    pruned = cell("wanda", 66, 44, 22, 52, 28, 28)
    assert recovered_shares([pruned, DENSE]) == pytest.approx([200 / 3, 100])


def test_it_is_neither_cut_at_zero_nor_at_a_hundred():
    below, above = cell("wanda", 50, 25, 20, 45, 25, 20), cell("leap", 70, 50, 26, 60, 30, 30)
    # averages 185/6 and 266/6
    assert recovered_shares([DENSE, below, above])[1:] == pytest.approx([-25, 110])


@pytest.mark.parametrize(
    "accuracies", [(50.0, 25.1, 24.9, 50.0, 25.0, 25.0), (40,) * 2 + (20,) * 4]
)
def test_it_is_undefined_where_the_dense_model_is_not_above_chance(accuracies):
    shares = recovered_shares([cell("dense", *accuracies), cell("leap", *[60] * 6)])
    assert all(map(math.isnan, shares))


def test_it_is_undefined_without_a_dense_model_or_a_recorded_chance():
    pruned = cell("wanda", *[40] * 6)
    assert math.isnan(recovered_shares([pruned])[0])
    of_another = cell("dense", *[90] * 6, model="another")
    assert math.isnan(recovered_shares([pruned, of_another])[0])
    for known in ({}, {task: CHANCE[task] for task in TASKS[1:]}):
        older = replace(pruned, chance=known)
        assert math.isnan(recovered_shares([DENSE, older])[1])
        assert math.isnan(recovered_shares([replace(DENSE, chance=known), pruned])[1])
