"""Differences of the subject to the best of its kind, of all, and single baselines; verdict.md."""

import json
import math
from dataclasses import replace

import pytest

from leap_suite.plan.config import load
from leap_suite.plan.subject import judged
from leap_suite.tables.context import Context
from leap_suite.tables.headline import headline, judge
from leap_suite.tables.leaderboard import leaderboard_lines
from leap_suite.tables.verdict import claim, verdict
from tests.unit.results.example import GENERATED, TASKS, ran, results

CONTEXT = Context("mini", about="It is the claim.", kindred=("wanda", "admm"),
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


def found(cells, context=CONTEXT):
    """The verdicts by their names."""
    whole = judge(results(cells), context)
    return {verdict["name"]: verdict for verdict in whole["against"]}


def page(cells, context=CONTEXT, tasks=TASKS):
    return verdict(results(cells, tasks), context)["md"]


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
    whole = json.loads(headline(results(CELLS), CONTEXT)["json"])
    assert whole["subject"] == "leap" and whole["mixed"] == ""


def test_another_kind_counts_against_the_best_of_all_only():
    cells = [*CELLS, ran("elsa", 0.7, 3.0, model="a"), ran("elsa", 0.6, 2.9, model="b")]
    context = replace(CONTEXT, opponents=(*CONTEXT.kindred, "elsa"))
    verdicts, without = found(cells, context), found(CELLS)
    assert list(verdicts) == [KIND, ALL, "ADMM"]
    assert {name: verdicts[name] for name in without} == without
    for measure, opponents, differences in (
        ("accuracy", ["elsa", "wanda"], [-7, -2]),
        ("perplexity", ["elsa", "elsa"], [1.0, 0.2]),
    ):
        best = verdicts[ALL][measure]["cells"]
        assert [row["baseline"] for row in best] == opponents
        assert [row["difference"] for row in best] == pytest.approx(differences)
    text = page(cells, context)
    assert text.count("## Against") == 3 and page(CELLS).count("## Against") == 2


def test_a_baseline_without_a_cell_of_the_subject_has_no_verdict():
    context = replace(CONTEXT, opponents=(*CONTEXT.kindred, "elsa"), against=("elsa", "sparsegpt"))
    elsewhere = [*CELLS, ran("elsa", 0.9, 1.0, sparsity="0.7", model="a")]
    assert list(found(elsewhere, context)) == [KIND, ALL]
    cell = found([c for c in CELLS if c["cell"].model == "b"])["ADMM"]["accuracy"]
    assert cell["cells_std"] is None and cell["seeds_std"] is None


def test_accuracies_have_paired_tests_and_a_mean_clustered_by_item():
    right = {("admm", "a"): 600, ("leap", "a"): 630, ("admm", "b"): 700, ("leap", "b"): 680}
    cells = [ran(method, model=model, right=[[int(i < count) for i in range(1000)]])
             for (method, model), count in right.items()]  # fmt: skip
    whole = judge(results(cells, {"piqa": {}}), CONTEXT)["against"][0]["accuracy"]
    for row, share in zip(whole["cells"], (0.03, 0.02), strict=True):
        # this share of 1,000 items differs, all in one direction
        error = 100 * math.sqrt(share * (1 - share) / 999)
        assert row["standard_error"] == pytest.approx(error)
        assert row["p_value"] == pytest.approx(math.erfc(100 * share / error / math.sqrt(2)))
    assert (whole["cells_significantly_better"], whole["cells_significantly_worse"]) == (1, 1)
    # two models with equal answers are one draw
    pair = [("admm", 0.6), ("leap", 0.64)]
    single, double = (
        found([ran(method, acc, model=model) for model in models for method, acc in pair])["ADMM"]
        for models in ("a", "ab")
    )
    error = single["accuracy"]["standard_error"]
    assert double["accuracy"]["standard_error"] == pytest.approx(error)


def test_spreads_over_cells_and_over_seeds():
    best = found(CELLS)[KIND]
    # differences +3 and -2; LEAP's two seeds on one of the cells are 1 and 5 above ADMM
    assert best["accuracy"]["cells_std"] == pytest.approx(math.sqrt(12.5))
    assert best["accuracy"]["seeds_std"] == pytest.approx(math.sqrt(8))
    assert best["perplexity"]["seeds_std"] == pytest.approx(math.sqrt(0.5))
    # a baseline of several seeds is compared seed by seed
    cells = [
        ran(m, a + 0.04 * s, seed=s) for m, a in (("admm", 0.6), ("leap", 0.61)) for s in (0, 1)
    ]
    admm = found(cells)["ADMM"]["accuracy"]
    assert (admm["mean"], admm["seeds_std"]) == pytest.approx((1.0, 0.0))


def test_p_values_are_adjusted_for_their_number_and_tasks_add_up_to_the_mean():
    cells = [*CELLS, ran("elsa", 0.7, model="a"), ran("elsa", 0.6, model="b")]
    context = replace(CONTEXT, opponents=(*CONTEXT.kindred, "elsa"), against=("admm", "elsa"))
    accuracies = [verdict["accuracy"] for verdict in found(cells, context).values()]
    assert len(accuracies) == 4
    by_p = sorted(accuracies, key=lambda accuracy: accuracy["p_value"])
    steps = [min(1, (4 - rank) * accuracy["p_value"]) for rank, accuracy in enumerate(by_p)]
    assert [a["p_holm"] for a in by_p] == pytest.approx([max(steps[: n + 1]) for n in range(4)])
    for accuracy in accuracies:
        assert set(accuracy["by_task"]) == {task["title"] for task in TASKS.values()}
        assert sum(accuracy["by_task"].values()) == pytest.approx(accuracy["mean"])
    right = [[[1] * 10, [0] * 10], [[1] * 10, [1] * 5 + [0] * 5]]
    pair = [ran(m, right=r) for m, r in zip(("admm", "leap"), right, strict=True)]
    tasks = {"piqa": {"title": "P"}, "mmlu": {"title": "M"}}
    assert "Points of it by task: M +25.00, P +0.00." in page(pair, tasks=tasks)


def test_the_difference_by_normalised_accuracy_is_paired_too():
    right = {"admm": [1, 0, 0, 0], "leap": [1, 1, 0, 0]}
    normed = {"admm": [1, 1, 1, 0], "leap": [1, 1, 0, 0]}
    tasks = {"piqa": {"title": "P"}, "mmlu": {"title": "M"}}
    cells = [ran(m, right=[right[m]] * 2, normed={"piqa": normed[m]}) for m in right]
    accuracy = judge(results(cells, tasks), CONTEXT)["against"][0]["accuracy"]
    mean, error, p_value = accuracy["norm"]
    # -25 points of PIQA by acc_norm, and +25 of MMLU by acc, in 1 of 4 items each
    assert (accuracy["mean"], mean) == pytest.approx((25, 0))
    assert error == pytest.approx(100 * math.sqrt(2 * 0.25 / 4) / 2)
    assert p_value == 1 and "place of `acc` where a task has it +0.00 ± 17.68, p = 1" in page(
        cells, tasks=tasks
    )
    assert judge(results(CELLS), CONTEXT)["against"][0]["accuracy"]["norm"] is None


def test_errors_cover_training_seeds_where_the_subject_has_several():
    right = [[1] * 30 + [0] * 70], [[1] * 50 + [0] * 50], [[0] * 40 + [1] * 40 + [0] * 20]
    one = [ran("leap", right=right[0]), ran("admm", right=right[2])]
    several = [*one, ran("leap", right=right[1], seed=1)]
    single, both = (
        judge(results(cells, {"piqa": {"title": "P"}}), CONTEXT)["against"][0]["accuracy"]
        for cells in (one, several)
    )
    assert single["standard_error"] == single["item_error"] and not single["covers_seeds"]
    # 20 of 100 items differ between the trainings, all in one direction
    between = ((100 * 0.2) ** 2 - 1e4 * 0.2 * 0.8 / 99) / 2
    assert both["covers_seeds"]
    error = math.sqrt(both["item_error"] ** 2 + between / 2)
    assert both["standard_error"] == both["cells"][0]["standard_error"] == pytest.approx(error)
    assert both["p_value"] == pytest.approx(math.erfc(abs(both["mean"]) / error / math.sqrt(2)))
    assert "(clustered by item, and over seeds), p" in page(several, tasks={"piqa": {}})
    assert "(clustered by item), p" in page(one, tasks={"piqa": {}})


@pytest.mark.parametrize(
    ("mean", "p", "said"),
    [(1.0, 0.01, "holds"), (1.0, 0.2, "not shown: better, but within chance"),
     (-1.0, 0.2, "not shown: not better"), (-1.0, 0.01, "contradicted")],
)  # fmt: skip
def test_the_claim_is_judged_by_sign_and_p(mean, p, said):
    assert claim({"mean": mean, "p_holm": p}) == said


def test_the_page_names_generated_tasks():
    """The page of real tasks is that of the tracked results."""
    text = page(CELLS, tasks=GENERATED)
    assert "generated tasks for miniature models" in text.splitlines()[0]
    assert "| Mini-task accuracy: LEAP | baseline |" in text
    assert "It is the claim." in text and "standard deviation between a cell's seeds 2.8." in text


@pytest.mark.parametrize("cells", [CELLS[:3], CELLS[3:5], CELLS[:1]])
def test_without_subject_or_opponent_the_page_has_the_leaderboard(cells):
    text = page(cells)
    assert judge(results(cells), CONTEXT)["against"] == []
    assert "No verdict: the grid has no cell with LEAP and an opponent. The leaderboard:" in text
    assert "\n".join(leaderboard_lines(results(cells))) in text
    assert "## Against" not in text and "## Rule" not in text


# Other subjects


def context_of(**settings):
    """Context of a run of scale mini with these settings."""
    return Context("mini", **judged(load({"scale": "mini", "hub_mirror": "", **settings})))


GRID = {"methods": ["random-mask", "wanda", "sparsegpt", "admm", "admm-cubic", "alps", "thanos",
                    "reconstruct", "elsa", "leap", "magnitude"]}  # fmt: skip


def test_kinds_are_those_of_the_subject():
    leap = context_of(grid=GRID, against=[])
    layer_wise = {"wanda", "sparsegpt", "admm", "admm-cubic", "alps", "thanos", "magnitude"}
    assert (leap.kind, set(leap.kindred)) == ("layer-wise", layer_wise)
    assert set(leap.opponents) == layer_wise | {"reconstruct", "elsa"}
    admm = context_of(grid=GRID, subject="admm", against=[])
    # ADMM's other schedule is no opponent, nor is the control; LEAP is one of another kind
    assert set(admm.kindred) == layer_wise - {"admm", "admm-cubic"}
    assert set(admm.opponents) == set(admm.kindred) | {"reconstruct", "elsa", "leap"}
    retrained = context_of(grid=GRID, subject="reconstruct", against=["wanda"])
    assert (retrained.kind, list(retrained.kindred)) == ("retraining", ["elsa"])
    assert set(retrained.opponents) == layer_wise | {"elsa", "leap"}


def test_any_method_can_be_the_subject():
    accuracies = {"wanda": 0.6, "admm": 0.5, "reconstruct": 0.7, "elsa": 0.65, "leap": 0.9,
                  "random-mask": 0.99}  # fmt: skip
    context = context_of(
        grid={"methods": list(accuracies)}, subject="reconstruct", against=["leap"]
    )
    cells = [ran(method, acc) for method, acc in accuracies.items()]
    verdicts = found(cells, context)
    best = {name: of["accuracy"]["cells"][0]["baseline"] for name, of in verdicts.items()}
    # LEAP starts from Wanda's masks, and so does reconstruction
    assert best == {"the best retraining baseline": "elsa", ALL: "leap", "LEAP": "leap"}
    (row,) = verdicts["LEAP"]["accuracy"]["cells"]
    assert row["difference"] == pytest.approx(-20)
    text = page(cells, context)
    assert text.startswith("# Does Reconstruction beat the retraining baselines?")
    assert "controls, Reconstruction itself" in text and "LEAP itself" not in text
