"""Bars are as long as accuracies are large, against numbers by hand."""

from dataclasses import replace

import pytest

from suite.plan.cell import Cell
from suite.report.page.bars import WIDTH, panels_by_sparsity
from suite.tables.evaluations import TASKS, Evaluated


def result(method, sparsity, first, others=30.0, seed=0, chance=25.0):
    """A result with an accuracy of the first task, and one of all others."""
    accuracy = dict.fromkeys(TASKS, others) | {TASKS[0]: first}
    cell = Cell.at("m", method, sparsity, seed)
    stderr, chances = dict.fromkeys(TASKS, 1.5), dict.fromkeys(TASKS, chance)
    none = {} if chance is None else chances
    return Evaluated(cell, sparsity, 5.0, 0.1, accuracy, stderr, {}, {}, none)


RESULTS = [
    result("dense", 0.0, 58.0),
    result("wanda", 0.6, 20.0),
    result("leap", 0.6, 50.0),
    result("wanda", 0.5, 40.0),
    result("leap", 0.5, 52.0, seed=0),
    result("leap", 0.5, 56.0, seed=1),
    result("random-mask", 0.5, 26.0),
]


def test_a_control_by_another_name_is_drawn_as_one():
    coin = replace(result("coin", 0.5, 26.0), implementation="random-mask")
    lookalike = replace(result("random-mask-2-4", 0.5, 26.0), implementation="wanda")
    bars = panels_by_sparsity([*RESULTS, coin, lookalike])["0.5"][0].bars
    assert [bar.kind for bar in bars] == ["", "leap", "control", "control", ""]


def test_a_panel_a_task_and_one_of_the_average_at_each_sparsity():
    found = panels_by_sparsity(RESULTS)
    assert list(found) == ["0.5", "0.6"]
    titles = ["Average", "PIQA", "ARC-E", "ARC-C", "WinoGrande", "OBQA", "MMLU"]
    for panels in found.values():
        assert [panel.title for panel in panels] == titles
    assert [bar.label for bar in found["0.5"][0].bars] == ["Wanda", "LEAP", "Random mask"]
    assert [bar.kind for bar in found["0.5"][0].bars] == ["", "leap", "control"]
    assert [bar.label for bar in found["0.6"][0].bars] == ["Wanda", "LEAP"]


def test_lengths_are_in_proportion_to_accuracies():
    panel = panels_by_sparsity(RESULTS)["0.5"][1]
    (zero, first), (_, half), (end, top) = panel.ticks
    assert (zero, first, half, top) == (0, "0", "30", "60")
    assert panel.origin + end < WIDTH
    unit = end / 60
    wanda, leap, _ = panel.bars
    assert wanda.length == pytest.approx(40 * unit, abs=0.1)
    assert leap.length == pytest.approx(54 * unit, abs=0.1), "the mean of two seeds"
    assert (leap.low, leap.high) == pytest.approx((52.5 * unit, 55.5 * unit), abs=0.1)
    assert panel.dense == pytest.approx(58 * unit, abs=0.1)
    assert panel.chance == pytest.approx(25 * unit, abs=0.1)
    assert (wanda.value, leap.value) == ("40.0", "54.0")
    assert wanda.tip == "Wanda, PIQA at 0.5: 40.00 ± 1.50 %, dense 58.00 %"
    assert leap.tip == "LEAP, PIQA at 0.5: 54.00 ± 1.50 %, mean of 2 seeds, dense 58.00 %"


def test_the_average_has_its_own_error_and_a_task_one_axis_at_all_sparsities():
    half, sixty = panels_by_sparsity(RESULTS).values()
    assert [panel.ticks for panel in half] == [panel.ticks for panel in sixty]
    assert {panel.origin for panel in [*half, *sixty]} == {half[0].origin}
    wanda = half[0].bars[0]
    assert wanda.value == f"{(40 + 5 * 30) / 6:.1f}"
    assert "± 0.61 %" in wanda.tip, "1.5 / sqrt(6)"


def test_without_a_dense_model_or_chance_there_are_no_lines():
    (panels,) = panels_by_sparsity([result("wanda", 0.5, 40.0, chance=None)]).values()
    assert all(panel.dense is None and panel.chance is None for panel in panels)
    assert "dense" not in panels[0].bars[0].tip
    assert panels_by_sparsity(RESULTS[:1]) == {}
    long = panels_by_sparsity([result("a-method-with-a-very-long-name", 0.5, 40.0)])["0.5"][0]
    assert long.bars[0].label == "a-method-with-a-ver…"
    assert long.bars[0].tip.startswith("a-method-with-a-very-long-name, ")
