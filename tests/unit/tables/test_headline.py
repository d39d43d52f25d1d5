"""The headline: LEAP minus the best layer-wise baseline and minus ADMM, here and as published."""

import json
import math
import re

import pytest

from suite.artifacts.items import write_items
from suite.plan.cell import Cell
from suite.tables.evaluations import TASKS, Evaluated
from suite.tables.headline import headline as judged_of
from suite.tables.headline import item_files, judge, write_headline
from suite.tables.published import averages, baselines, published_models, read_published
from suite.tables.verdict import claim, write_verdict


def cell(model, method, sparsity, accuracy, perplexity, seed=0):
    flat = dict.fromkeys(TASKS, accuracy)
    protocol = {task: (task, "1", 10) for task in TASKS}
    return Evaluated(Cell(model, method, sparsity, seed), float(sparsity), perplexity, 0.1, flat,
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


def headline(cells, tmp_path, layer_wise=("wanda", "admm"), items=100, retraining=()):
    """The headline of cells whose items have the cells' accuracies."""
    files = []
    for index, c in enumerate(cells):
        path = tmp_path / f"{index}.csv.gz"
        correct = {i: int(i < c.average * items / 100) for i in range(items)}
        write_items({task: {task: correct} for task in TASKS}, path)
        files.append(path)
    write_headline(
        judged_of(cells, item_files(cells, files), layer_wise, retraining),
        tmp_path / "headline.json",
    )
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


def test_what_is_retrained_counts_against_the_best_of_all_only(tmp_path):
    cells = [*CELLS, cell("a", "elsa", "0.5", 70, 3.0), cell("b", "elsa", "0.5", 60, 2.9)]
    without = headline(CELLS, tmp_path)
    judged = headline(cells, tmp_path, retraining=("elsa",))
    for measure, opponents, differences in (
        ("average_accuracy", ["elsa", "wanda"], [-7, -2]),
        ("perplexity", ["elsa", "elsa"], [1.0, 0.2]),
    ):
        best = judged[measure]["leap_minus_best_of_all"]
        assert [row["baseline"] for row in best["cells"]] == opponents
        assert [row["difference"] for row in best["cells"]] == pytest.approx(differences)
        others = ("leap_minus_best_layer_wise", "leap_minus_admm")
        assert [judged[measure][e] for e in others] == [without[measure][e] for e in others]
        assert without[measure]["leap_minus_best_of_all"] is None
    write_verdict(judged, "test", "", tmp_path / "verdict.md", generated=False)
    text = (tmp_path / "verdict.md").read_text()
    assert text.count("## Against") == 3
    section = text.split("## Against the best of all baselines")[1].split("## ")[0]
    assert section.count("| ELSA |") == 3 and "p < 0.001" in section
    write_verdict(without, "test", "", tmp_path / "verdict.md", generated=False)
    assert (tmp_path / "verdict.md").read_text().count("## Against") == 2


def test_perplexity_is_better_when_it_is_lower(tmp_path):
    perplexity = headline(CELLS, tmp_path)["perplexity"]["leap_minus_best_layer_wise"]
    assert [row["baseline"] for row in perplexity["cells"]] == ["admm", "wanda"]
    assert [row["difference"] for row in perplexity["cells"]] == pytest.approx([0.0, 0.1])
    assert perplexity["cells_better"] == 0


def test_what_the_grid_lacks_is_null(tmp_path):
    without_admm = [c for c in CELLS if c.cell.method != "admm"]
    judged = headline(without_admm, tmp_path, ("wanda",))["average_accuracy"]
    assert judged["leap_minus_admm"] is None
    assert [r["baseline"] for r in judged["leap_minus_best_layer_wise"]["cells"]] == ["wanda"] * 2
    without_leap = [c for c in CELLS if c.cell.method != "leap"]
    assert headline(without_leap, tmp_path)["perplexity"]["leap_minus_best_layer_wise"] is None


def test_paired_tests_stand_beside_the_differences_of_accuracy(tmp_path):
    best = headline(CELLS, tmp_path, items=1000)["average_accuracy"]["leap_minus_best_layer_wise"]
    # 30 items of 1,000 differ for the better, then 20 for the worse, on each of six tasks
    better, worse = best["cells"]
    assert better["standard_error"] > 0
    assert better["p_value"] < 0.05
    assert worse["p_value"] < 0.05
    assert (best["cells_significantly_better"], best["cells_significantly_worse"]) == (1, 1)
    assert "p_value" not in headline(CELLS, tmp_path)["perplexity"]["leap_minus_admm"]


def test_the_published_table_alone_gives_the_published_headline():
    rows = read_published()
    assert set(baselines(rows)) == {"wanda", "sparsegpt", "thanos", "admm"}
    judged = judge(averages(rows), baselines(rows), more=True)
    against_admm = judged["leap_minus_admm"]
    assert len(against_admm["cells"]) == 10
    assert round(against_admm["mean"], 2) == 2.59
    assert round(against_admm["min"], 2) == 0.21
    assert round(against_admm["max"], 2) == 5.40
    lowest = min(against_admm["cells"], key=lambda row: row["difference"])
    assert (lowest["model"], lowest["sparsity"]) == ("llama-3.1-8b", "0.5")
    against_best = judged["leap_minus_best_layer_wise"]
    assert len(against_best["cells"]) == against_best["cells_better"] == 10
    assert round(against_best["mean"], 2) == 2.58
    assert round(against_best["min"], 2) == 0.07
    assert [row for row in against_best["cells"] if row["baseline"] != "admm"] == [
        min(against_best["cells"], key=lambda row: row["difference"])
    ]
    assert [row["baseline"] for row in against_best["cells"]].count("thanos") == 1


def test_published_averages_are_the_means_of_their_tasks_but_for_the_known_one():
    off = [
        (row.model, row.method, row.sparsity)
        for row in read_published()
        if row.accuracy and abs(sum(row.accuracy.values()) / 6 - row.average) > 0.011
    ]
    assert off == [("gemma-3-1b", "leap", "0.5")]
    assert len(published_models()) == 5


@pytest.mark.parametrize(
    ("mean", "p", "verdict"),
    [(1.0, 0.01, "holds"), (1.0, 0.2, "not shown: better, but within chance"),
     (-1.0, 0.2, "not shown: not better"), (-1.0, 0.01, "contradicted")],
)  # fmt: skip
def test_the_claim_is_judged_by_sign_and_p(mean, p, verdict):
    assert claim({"mean": mean, "p_value": p}) == verdict
    assert claim(None) == "not run"


def test_the_spread_stands_beside_the_error(tmp_path):
    judged = headline(CELLS, tmp_path)
    best = judged["average_accuracy"]["leap_minus_best_layer_wise"]
    # differences +3 and -2; LEAP's two seeds on one of the cells are 1 and 5 above ADMM
    assert best["cells_std"] == pytest.approx(math.sqrt(12.5))
    assert best["seeds_std"] == pytest.approx(math.sqrt(8))
    perplexity = judged["perplexity"]["leap_minus_best_layer_wise"]
    assert perplexity["seeds_std"] == pytest.approx(math.sqrt(0.5))
    one_seed = [c for c in CELLS if c.cell.seed == 0]
    assert headline(one_seed, tmp_path)["perplexity"]["leap_minus_admm"]["seeds_std"] is None
    one_cell = [c for c in one_seed if c.cell.model == "b"]
    single = headline(one_cell, tmp_path)["average_accuracy"]["leap_minus_admm"]
    assert single["cells_std"] is None


def test_a_baseline_of_several_seeds_is_compared_seed_by_seed(tmp_path):
    cells = [
        cell("a", "admm", "0.5", 60, 4.0, seed=0), cell("a", "admm", "0.5", 64, 4.0, seed=1),
        cell("a", "leap", "0.5", 61, 3.5, seed=0), cell("a", "leap", "0.5", 65, 3.5, seed=1),
    ]  # fmt: skip
    judged = headline(cells, tmp_path)["average_accuracy"]["leap_minus_admm"]
    assert (judged["mean"], judged["seeds_std"]) == (1.0, 0.0)


def test_the_error_of_the_mean_is_clustered_by_item(tmp_path):
    """Two models that answer alike are one answer: no surer than a single model."""
    one = [cell("a", method, "0.5", accuracy, 3.0) for method, accuracy in PAIR]
    two = [*one, *(cell("b", method, "0.5", accuracy, 3.0) for method, accuracy in PAIR)]
    single, double = (
        headline(cells, tmp_path)["average_accuracy"]["leap_minus_admm"] for cells in (one, two)
    )
    assert double["standard_error"] == pytest.approx(single["standard_error"])
    assert double["p_value"] == pytest.approx(single["p_value"])


PAIR = (("admm", 60), ("leap", 64))


@pytest.mark.parametrize("generated", [False, True])
def test_the_page_says_what_was_found(tmp_path, generated):
    path = tmp_path / "verdict.md"
    write_verdict(headline(CELLS, tmp_path), "mini", "It is the claim.", path, generated)
    page = path.read_text()
    assert "It is the claim." in page
    assert re.search(
        r"\+0\.50 points, standard error \d\.\d\d \(clustered by item\), p = 0\.\d{3}; standard "
        r"deviation between the 2 cells 3\.5, smallest -2\.00, largest \+3\.00; "
        r"standard deviation between a cell's seeds 2\.8\. ",
        page,
    )
    assert "Better in 1 of 2 cells" in page
    assert "| b | 0.5 | Wanda | 68.00 | 70.00 |" in page
    title = page.splitlines()[0]
    assert ("generated tasks for miniature models" in title) == generated
    assert ("| Mini-task accuracy: LEAP |" in page) == generated
    assert ("| Accuracy: LEAP |" in page) == (not generated)


def test_the_verdict_names_the_baseline_of_each_measure(tmp_path):
    cells = [
        cell("a", "wanda", "0.5", 70, 23456.0),
        cell("a", "admm", "0.5", 60, 450.0),
        cell("a", "leap", "0.5", 65, 40.0),
    ]
    write_verdict(headline(cells, tmp_path), "mini", "", tmp_path / "verdict.md", False)
    page = (tmp_path / "verdict.md").read_text()
    assert "| Perplexity: LEAP | baseline | baseline by perplexity |" in page
    (best,) = re.findall(r"\| a \| 0\.5 \| Wanda \| .*", page)
    assert best.endswith("| 40.00 | 450.0 | ADMM |")
