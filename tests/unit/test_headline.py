"""The headline: LEAP minus the best layer-wise baseline and minus ADMM."""

import json

import pytest

from suite.evaluations import TASKS, Cell
from suite.headline import write_headline


def cell(model, method, sparsity, accuracy, perplexity, seed=0):
    flat = dict.fromkeys(TASKS, accuracy)
    protocol = {task: (task, "1", 10) for task in TASKS}
    return Cell(model, method, sparsity, seed, float(sparsity), perplexity, flat,
                dict.fromkeys(TASKS, 1.0), {}, protocol)  # fmt: skip


CELLS = [
    cell("a", "dense", "0.0", 90, 2.0),
    cell("a", "wanda", "0.5", 50, 9.0),
    cell("a", "admm", "0.5", 60, 4.0),
    cell("a", "leap", "0.5", 61, 3.5, seed=0),
    cell("a", "leap", "0.5", 65, 4.5, seed=1),
    cell("b", "wanda", "0.5", 70, 3.0),
    cell("b", "admm", "0.5", 66, 3.2),
    cell("b", "leap", "0.5", 68, 3.1),
]


def headline(cells, tmp_path, layer_wise=("wanda", "admm")):
    write_headline(cells, layer_wise, tmp_path / "headline.json")
    return json.loads((tmp_path / "headline.json").read_text())


def test_differences_to_the_best_baseline_of_each_cell_and_to_admm(tmp_path):
    accuracy = headline(CELLS, tmp_path)["average_accuracy"]
    best, admm = accuracy["leap_minus_best_layer_wise"], accuracy["leap_minus_admm"]
    # LEAP's two seeds have mean 63
    assert [row["baseline"] for row in best["cells"]] == ["admm", "wanda"]
    assert [row["difference"] for row in best["cells"]] == [3, -2]
    assert (best["mean"], best["min"], best["max"], best["cells_better"]) == (0.5, -2, 3, 1)
    assert [row["difference"] for row in admm["cells"]] == [3, 2]
    assert admm["cells_better"] == 2


def test_perplexity_is_better_when_it_is_lower(tmp_path):
    perplexity = headline(CELLS, tmp_path)["perplexity"]["leap_minus_best_layer_wise"]
    assert [row["baseline"] for row in perplexity["cells"]] == ["admm", "wanda"]
    assert [row["difference"] for row in perplexity["cells"]] == pytest.approx([0.0, 0.1])
    assert perplexity["cells_better"] == 0


def test_what_the_grid_lacks_is_null(tmp_path):
    without_admm = [c for c in CELLS if c.method != "admm"]
    judged = headline(without_admm, tmp_path, ("wanda",))["average_accuracy"]
    assert judged["leap_minus_admm"] is None
    assert [r["baseline"] for r in judged["leap_minus_best_layer_wise"]["cells"]] == ["wanda"] * 2
    without_leap = [c for c in CELLS if c.method != "leap"]
    assert headline(without_leap, tmp_path)["perplexity"]["leap_minus_best_layer_wise"] is None
