"""Bars are as long as accuracies are large, against numbers by hand."""

import pytest

from suite.report.page.bars import WIDTH, panels_by_sparsity
from tests.unit.made import Made, collected, made, scored
from tests.unit.report.example_page import TITLES, collected_example

CELLS = [  # method, sparsity, seed, accuracy of the first task in percent
    ("dense", 0.0, 0, 58.0),
    ("wanda", 0.6, 0, 20.0),
    ("leap", 0.6, 0, 50.0),
    ("wanda", 0.5, 0, 40.0),
    ("leap", 0.5, 0, 52.0),
    ("leap", 0.5, 1, 56.0),
    ("random-mask", 0.5, 0, 26.0),
]


def cell(folder, method, sparsity, seed, first, implementation="", chance=0.25, **more) -> Made:
    """A cell with an accuracy of the first task, and one of all others."""
    of_chance = {} if chance is None else {"chance": chance}
    tasks = {task: scored(0.3, acc_stderr=0.015, **of_chance) for task in TITLES} | more
    tasks["piqa"] = scored(first / 100, acc_stderr=0.015, **of_chance)
    return made(folder, "m", method, sparsity, seed, tasks=tasks, implementation=implementation)


@pytest.fixture
def files(tmp_path) -> Made:
    """All cells."""
    return {path: of for each in CELLS for path, of in cell(tmp_path, *each).items()}


@pytest.fixture
def found(files):
    """The panels by sparsity."""
    return panels_by_sparsity(collected_example(files), "m", "leap")


@pytest.mark.parametrize("subject", ["leap", "wanda", "not in the grid"])
def test_the_subject_is_in_colour_and_a_control_is_one_by_any_name(tmp_path, files, subject):
    files |= cell(tmp_path, "coin", 0.5, 0, 26.0, "random-mask")
    files |= cell(tmp_path, "random-mask-2-4", 0.5, 0, 26.0, "wanda")
    bars = panels_by_sparsity(collected_example(files), "m", subject)["0.5"][0].bars
    kinds = {
        "Wanda": "", "LEAP": "", "Random mask": "control", "coin": "control",
        "Random mask 2:4": "",
    }  # fmt: skip
    kinds |= {"leap": {"LEAP": "subject"}, "wanda": {"Wanda": "subject"}}.get(subject, {})
    assert {bar.label: bar.kind for bar in bars} == kinds


def test_what_is_no_share_of_correct_items_has_no_bars(tmp_path):
    asked = {"samples": 9, "version": "1"}
    more = {
        "gsm8k": {"metric": "exact_match", "exact_match": 0.125, **asked},
        "lambada": {"metric": "perplexity", "perplexity": 31.5, **asked},
    }
    results = collected(
        cell(tmp_path, "wanda", 0.5, 0, 40.0, **more), {"lambada": {"averaged": False}}
    )
    (panels,) = panels_by_sparsity(results, "m", "leap").values()
    assert [panel.title for panel in panels] == ["Average", *TITLES, "gsm8k"]
    (exact,) = panels[-1].bars
    assert (exact.value, exact.tip) == ("12.5", "Wanda, gsm8k at 0.5: 12.50 %")
    assert exact.low == exact.length == exact.high, "its error is not known"
    assert panels[0].chance is None and panels[-1].chance is None, "nor what guessing scores"


def test_a_panel_a_task_and_one_of_the_average_at_each_sparsity(found):
    assert list(found) == ["0.5", "0.6"]
    for panels in found.values():
        assert [panel.title for panel in panels] == ["Average", *TITLES.values()]
    assert [bar.label for bar in found["0.5"][0].bars] == ["Wanda", "LEAP", "Random mask"]
    assert [bar.label for bar in found["0.6"][0].bars] == ["Wanda", "LEAP"]


def test_lengths_are_in_proportion_to_accuracies(found):
    panel = found["0.5"][1]
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


def test_the_average_has_its_own_error_and_a_task_one_axis_at_all_sparsities(found):
    half, sixty = found.values()
    assert [panel.ticks for panel in half] == [panel.ticks for panel in sixty]
    assert {panel.origin for panel in [*half, *sixty]} == {half[0].origin}
    wanda = half[0].bars[0]
    assert wanda.value == f"{(40 + 5 * 30) / 6:.1f}"
    assert "± 0.61 %" in wanda.tip, "1.5 / sqrt(6)"


def test_without_a_dense_model_or_chance_there_are_no_lines(tmp_path):
    name = "a-method-with-a-very-long-name"
    alone = collected_example(cell(tmp_path, name, 0.5, 0, 40.0, chance=None))
    (panels,) = panels_by_sparsity(alone, "m", "leap").values()
    assert all(panel.dense is None and panel.chance is None for panel in panels)
    assert panels[1].bars[0].label == "a-method-with-a-ver…"
    assert panels[1].bars[0].tip == f"{name}, PIQA at 0.5: 40.00 ± 1.50 %"
    dense = collected_example(cell(tmp_path, "dense", 0.0, 0, 58.0))
    assert panels_by_sparsity(dense, "m", "leap") == {}
