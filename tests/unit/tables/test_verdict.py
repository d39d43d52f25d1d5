"""The subject minus the best of its kind, of all and single ones; the page; the leaderboard."""

import json
import math
import re
from dataclasses import replace

import pytest

from suite.plan.config import load
from suite.plan.subject import judged
from suite.tables.headline import headline, judge
from suite.tables.leaderboard import leaderboard, leaderboard_lines
from suite.tables.told import Told
from suite.tables.verdict import claim, verdict
from tests.unit.results.example import GENERATED, TASKS, printed, ran, results

TOLD = Told("mini", about="It is the claim.", kindred=("wanda", "admm"),
            opponents=("wanda", "admm"), against=("admm",))  # fmt: skip
CELLS = [
    ran("dense", 0.9, 2.0, model="a"),
    ran("wanda", 0.50, 9.0, model="a"),
    ran("admm", 0.60, 4.0, model="a"),
    ran("leap", 0.61, 3.5, model="a", seed=0),
    ran("leap", 0.65, 4.5, model="a", seed=1),
    ran("wanda", 0.70, 3.0, model="b"),
    ran("admm", 0.66, 3.2, model="b"),
    ran("leap", 0.68, 3.1, model="b"),
]
KIND, ALL = "the best layer-wise baseline", "the best of all baselines"


def found(cells, told=TOLD):
    """The verdicts by their names."""
    whole = judge(results(cells), told)
    return {verdict["name"]: verdict for verdict in whole["against"]}


def page(cells, told=TOLD, tasks=TASKS):
    return verdict(results(cells, tasks), told)["md"]


def test_differences_are_to_the_best_of_each_cell_and_to_single_ones():
    verdicts = found(CELLS)
    assert list(verdicts) == [KIND, "ADMM"]
    assert [verdict["first"] for verdict in verdicts.values()] == [True, False]
    best, admm = (verdict["accuracy"] for verdict in verdicts.values())
    # LEAP's two seeds have mean 63
    assert [row["baseline"] for row in best["cells"]] == ["admm", "wanda"]
    assert [row["difference"] for row in best["cells"]] == pytest.approx([3, -2])
    assert (best["mean"], best["min"], best["max"]) == pytest.approx((0.5, -2, 3))
    assert [row["difference"] for row in admm["cells"]] == pytest.approx([3, 2])
    assert (best["cells_better"], admm["cells_better"]) == (1, 2)
    # of perplexity less is better
    perplexity = verdicts[KIND]["perplexity"]
    assert [row["baseline"] for row in perplexity["cells"]] == ["admm", "wanda"]
    assert [row["difference"] for row in perplexity["cells"]] == pytest.approx([0.0, 0.1])
    assert perplexity["cells_better"] == 0 and "p_value" not in perplexity
    whole = json.loads(headline(results(CELLS), TOLD)["json"])
    assert whole["subject"] == "leap" and whole["mixed"] == ""


def test_what_is_of_another_kind_counts_against_the_best_of_all_only():
    cells = [*CELLS, ran("elsa", 0.7, 3.0, model="a"), ran("elsa", 0.6, 2.9, model="b")]
    told = replace(TOLD, opponents=(*TOLD.kindred, "elsa"))
    verdicts, without = found(cells, told), found(CELLS)
    assert list(verdicts) == [KIND, ALL, "ADMM"]
    assert {name: verdicts[name] for name in without} == without
    for measure, opponents, differences in (
        ("accuracy", ["elsa", "wanda"], [-7, -2]),
        ("perplexity", ["elsa", "elsa"], [1.0, 0.2]),
    ):
        best = verdicts[ALL][measure]
        assert [row["baseline"] for row in best["cells"]] == opponents
        assert [row["difference"] for row in best["cells"]] == pytest.approx(differences)
    text = page(cells, told)
    section = text.split(f"## Against {ALL}")[1].split("## ")[0]
    assert section.count("| ELSA |") == 3 and "p < 0.001" in section
    assert text.count("## Against") == 3 and page(CELLS).count("## Against") == 2


def test_there_is_no_verdict_against_what_shares_no_cell_with_the_subject():
    told = replace(TOLD, opponents=(*TOLD.kindred, "elsa"), against=("elsa", "sparsegpt"))
    elsewhere = [*CELLS, ran("elsa", 0.9, 1.0, sparsity="0.7", model="a")]
    assert list(found(elsewhere, told)) == [KIND, ALL]
    cell = found([c for c in CELLS if c["cell"].model == "b"])["ADMM"]["accuracy"]
    assert cell["cells_std"] is None and cell["seeds_std"] is None


def test_accuracies_have_paired_tests_and_a_mean_clustered_by_item():
    wide = [ran(m, a, model="a", right=[[int(i < 10 * a) for i in range(1000)]])
            for m, a in (("admm", 60), ("leap", 63))]  # fmt: skip
    wide += [ran(m, a, model="b", right=[[int(i < 10 * a) for i in range(1000)]])
             for m, a in (("admm", 70), ("leap", 68))]  # fmt: skip
    told = replace(TOLD, against=("admm",))
    whole = judge(results(wide, {"piqa": {}}), told)["against"][0]["accuracy"]
    better, worse = whole["cells"]
    for row, share in ((better, 0.03), (worse, 0.02)):
        # so many of 1,000 items differ, all in one direction
        error = 100 * math.sqrt(share * (1 - share) / 999)
        assert row["standard_error"] == pytest.approx(error)
        assert row["p_value"] == pytest.approx(math.erfc(100 * share / error / math.sqrt(2)))
    assert (whole["cells_significantly_better"], whole["cells_significantly_worse"]) == (1, 1)
    # two models that answer alike are one answer: no surer than a single model
    pair = [("admm", 0.6), ("leap", 0.64)]
    one = [ran(method, acc, model="a") for method, acc in pair]
    two = [*one, *(ran(method, acc, model="b") for method, acc in pair)]
    single, double = (found(cells)["ADMM"]["accuracy"] for cells in (one, two))
    assert double["standard_error"] == pytest.approx(single["standard_error"])


def test_the_spread_over_cells_and_seeds_stands_beside_the_error():
    best = found(CELLS)[KIND]
    # differences +3 and -2; LEAP's two seeds on one of the cells are 1 and 5 above ADMM
    assert best["accuracy"]["cells_std"] == pytest.approx(math.sqrt(12.5))
    assert best["accuracy"]["seeds_std"] == pytest.approx(math.sqrt(8))
    assert best["perplexity"]["seeds_std"] == pytest.approx(math.sqrt(0.5))
    # a baseline of several seeds is compared seed by seed
    cells = [ran(m, a, seed=s) for s, m, a in ((0, "admm", 0.6), (1, "admm", 0.64),
                                              (0, "leap", 0.61), (1, "leap", 0.65))]  # fmt: skip
    admm = found(cells)["ADMM"]["accuracy"]
    assert (admm["mean"], admm["seeds_std"]) == pytest.approx((1.0, 0.0))


@pytest.mark.parametrize(
    ("mean", "p", "said"),
    [(1.0, 0.01, "holds"), (1.0, 0.2, "not shown: better, but within chance"),
     (-1.0, 0.2, "not shown: not better"), (-1.0, 0.01, "contradicted")],
)  # fmt: skip
def test_the_claim_is_judged_by_sign_and_p(mean, p, said):
    assert claim({"mean": mean, "p_value": p}) == said


@pytest.mark.parametrize("tasks", [TASKS, GENERATED], ids=["real", "generated"])
def test_the_page_says_what_was_found(tasks):
    text = page(CELLS, tasks=tasks)
    assert text.startswith("# Does LEAP beat the layer-wise baselines? Scale `mini`")
    assert "It is the claim." in text and "controls, LEAP itself, its variants" in text
    assert re.search(
        r"\+0\.50 points, standard error \d\.\d\d \(clustered by item\), p = 0\.\d{3}; standard "
        r"deviation between the 2 cells 3\.5, smallest -2\.00, largest \+3\.00; "
        r"standard deviation between a cell's seeds 2\.8\. Better in 1 of 2 cells",
        text,
    )
    assert "| b | 0.5 | Wanda | 68.00 | 70.00 |" in text
    generated = tasks is GENERATED
    assert ("generated tasks for miniature models" in text.splitlines()[0]) == generated
    assert ("| Mini-task accuracy: LEAP | baseline |" in text) == generated
    assert ("| Accuracy: LEAP | baseline |" in text) == (not generated)


def test_the_page_names_the_baseline_of_each_measure():
    cells = [ran("wanda", 0.7, 23456.0), ran("admm", 0.6, 450.0), ran("leap", 0.65, 40.0)]
    text = page(cells, replace(TOLD, against=()))
    assert "| Perplexity: LEAP | baseline | baseline by perplexity |" in text
    (row,) = printed(text)
    assert row[2] == "Wanda" and row[-3:] == ["40.00", "450.0", "ADMM"]


# The leaderboard, where there is no verdict


@pytest.mark.parametrize("cells", [CELLS[:3], CELLS[3:5], CELLS[:1]])
def test_without_subject_or_opponent_the_page_has_the_leaderboard(cells):
    text = page(cells)
    assert judge(results(cells), TOLD)["against"] == []
    assert "No verdict: the grid has no cell with LEAP and an opponent. The leaderboard:" in text
    assert "\n".join(leaderboard_lines(results(cells))) in text
    assert "## Against" not in text and "## Rule" not in text and "ot run" not in text


def test_the_leaderboard_ranks_methods_over_the_places_that_all_have():
    chance = {name: {**task, "chance": 0.4} for name, task in TASKS.items()}
    cells = [
        *CELLS, ran("dense", 0.8, model="b"), ran("alps", 0.99, 1.0, model="a"),
        ran("coin", 0.99, 1.0, model="a", implementation="random-mask"),
        ran("coin", 0.99, 1.0, model="b", implementation="random-mask"),
        ran("thanos", 0.6, 16.0, model="a", wall=2.0), ran("thanos", 0.6, 4.0, model="b", wall=4.0),
    ]  # fmt: skip
    found = leaderboard(results(cells, chance)).set_index("method")
    # averages by place: wanda 50 70, admm 60 66, leap 63 68, thanos 60 60
    assert found.index.tolist() == ["leap", "admm", "wanda", "thanos"]
    assert found["average"].tolist() == pytest.approx([65.5, 63, 60, 60])
    assert found["rank"].tolist() == pytest.approx([1.5, 2.75, 2.5, 3.25])
    assert found["recovered_share"]["leap"] == pytest.approx((100 * 23 / 50 + 100 * 28 / 40) / 2)
    assert found["ppl"]["thanos"] == pytest.approx(8) and found["wall_seconds"]["thanos"] == 3
    lines = leaderboard_lines(results(cells, chance))
    assert lines[0].startswith("| # | Method | Accuracy | Mean rank |")
    assert lines[2:][0] == "| 1 | LEAP | 65.50 | 1.50 | 58.00 | 3.51 | 10.00 |"


# Other subjects


def told_of(**settings):
    """What a run of scale mini with these settings is told."""
    return Told("mini", **judged(load({"scale": "mini", "hub_mirror": "", **settings})))


GRID = {"methods": ["random-mask", "wanda", "sparsegpt", "admm", "admm-cubic", "alps", "thanos",
                    "reconstruct", "elsa", "leap", "magnitude"]}  # fmt: skip


def test_kinds_are_those_of_the_subject():
    leap = told_of(grid=GRID, against=[])
    layer_wise = {"wanda", "sparsegpt", "admm", "admm-cubic", "alps", "thanos", "magnitude"}
    assert (leap.kind, set(leap.kindred)) == ("layer-wise", layer_wise)
    assert set(leap.opponents) == layer_wise | {"reconstruct", "elsa"}
    admm = told_of(grid=GRID, subject="admm", against=[])
    # ADMM's other schedule is no opponent, nor is the control; LEAP is one of another kind
    assert set(admm.kindred) == layer_wise - {"admm", "admm-cubic"}
    assert set(admm.opponents) == set(admm.kindred) | {"reconstruct", "elsa", "leap"}
    retrained = told_of(grid=GRID, subject="reconstruct", against=["wanda"])
    assert (retrained.kind, list(retrained.kindred)) == ("retraining", ["elsa"])
    assert set(retrained.opponents) == layer_wise | {"elsa", "leap"} and retrained.against == [
        "wanda"
    ]


@pytest.mark.parametrize(
    ("subject", "kind", "best"),
    [("wanda", "layer-wise", ["sparsegpt", "admm"]), ("reconstruct", "retraining", ["elsa"] * 2)],
)
def test_any_method_can_be_the_subject(subject, kind, best):
    accuracies = {"wanda": (0.6, 0.5), "sparsegpt": (0.55, 0.4), "admm": (0.5, 0.45),
                  "reconstruct": (0.7, 0.3), "elsa": (0.65, 0.6), "leap": (0.9, 0.9),
                  "random-mask": (0.99, 0.99)}  # fmt: skip
    cells = [ran(method, acc, model=model) for method, both in accuracies.items()
             for model, acc in zip("ab", both, strict=True)]  # fmt: skip
    told = told_of(grid={"methods": list(accuracies)}, subject=subject, against=["leap"])
    verdicts = found(cells, told)
    assert list(verdicts) == [f"the best {kind} baseline", ALL, "LEAP"]
    of_kind = verdicts[f"the best {kind} baseline"]["accuracy"]["cells"]
    assert [row["baseline"] for row in of_kind] == best
    ours = accuracies[subject]
    differences = [100 * (ours[n] - accuracies[other][n]) for n, other in enumerate(best)]
    assert [row["difference"] for row in of_kind] == pytest.approx(differences)
    # LEAP only starts from Wanda's masks
    for name in (ALL, "LEAP"):
        assert [row["baseline"] for row in verdicts[name]["accuracy"]["cells"]] == ["leap"] * 2
    text, label = page(cells, told), {"wanda": "Wanda", "reconstruct": "Reconstruction"}[subject]
    assert text.startswith(f"# Does {label} beat the {kind} baselines?")
    assert f"| Accuracy: {label} |" in text and f"controls, {label} itself" in text
    assert "LEAP itself" not in text
