"""Comparison of methods: means and errors against numpy, the subject's lead, missing numbers."""

import csv
import math

import numpy as np
import pytest

from leap_suite.results.frame import Results
from leap_suite.tables.comparison import comparison, comparison_rows
from leap_suite.tables.context import Context
from tests.unit.results.example import GENERATED, WITH_CHANCE, ran, results, variance_of_a_lead

METHODS = {"dense": [0], "wanda": [0], "leap-per-block": [0, 1], "leap": [0, 1]}
PLACES = [("qwen", "0.5"), ("qwen", "0.6"), ("llama", "0.5"), ("llama", "0.6")]
DRAW = np.random.default_rng(3)
# scores [tasks, items] by place, method and seed
RIGHT = {
    (*place, method, seed): (DRAW.random((6, 40)) < {"dense": 0.9, "leap": 0.8}.get(method, 0.5))
    * 1
    for place in PLACES
    for method, seeds in METHODS.items()
    for seed in seeds
    if method != "dense" or place[1] == "0.5"
}
PPL = {key: 2 + 10 * DRAW.random() for key in RIGHT}
WALL = {key: 10 * DRAW.random() for key in RIGHT}


def study(tasks=WITH_CHANCE, without=()) -> Results:
    return results(
        [
            ran(method, ppl=PPL[key], sparsity=sparsity, model=model, seed=seed,
                right=right.tolist(), wall=WALL[key])
            for key, right in RIGHT.items()
            for model, sparsity, method, seed in [key]
            if (method, sparsity) not in without
        ],
        tasks,
    )  # fmt: skip


@pytest.fixture(scope="module")
def rows():
    return comparison_rows(study(), Context("mini")).set_index("method")


def of(method: str) -> np.ndarray:
    """Scores averaged over seeds, [places, tasks, items]."""
    places = dict.fromkeys(key[:2] for key in RIGHT if key[2] == method)
    seeds = METHODS[method]
    return np.array([np.mean([RIGHT[*p, method, s] for s in seeds], axis=0) for p in places])


def clustered(values_KTN: np.ndarray) -> float:
    """Standard error of the mean of task means over cells with common items."""
    per_item_TN = values_KTN.mean(axis=0)
    variances = per_item_TN.var(axis=1, ddof=1) / per_item_TN.shape[1]
    return 100 * math.sqrt(variances.sum()) / len(per_item_TN)


def test_means_over_seeds_then_cells_and_their_errors(rows):
    assert rows.index.tolist() == list(METHODS) and rows["cells"].tolist() == [2, 4, 4, 4]
    for method, row in rows.iterrows():
        assert row["average"] == pytest.approx(100 * of(method).mean())
        assert row["average_stderr"] == pytest.approx(clustered(of(method)))
        # every place has as many seeds
        logs = [np.log(value) for key, value in PPL.items() if key[2] == method]
        assert row["ppl"] == pytest.approx(np.exp(np.mean(logs)))
    dense = {model: 100 * RIGHT[model, "0.5", "dense", 0].mean() for model in ("qwen", "llama")}
    chance = 100 * sum(task["chance"] for task in WITH_CHANCE.values()) / 6
    shares = [
        100 * (100 * right.mean() - chance) / (dense[model] - chance)
        for (model, _, method, _), right in RIGHT.items()
        if method == "wanda"
    ]
    assert rows["recovered_share"]["wanda"] == pytest.approx(np.mean(shares))
    wall = np.mean([seconds for key, seconds in WALL.items() if key[2] == "wanda"])
    assert rows["wall_seconds"]["wanda"] == pytest.approx(wall)
    assert rows["recovered_share"]["dense"] == pytest.approx(100)
    assert math.isnan(rows["wall_seconds"]["dense"])


def test_the_lead_is_the_subjects_over_the_method_item_by_item(rows):
    for method in ("wanda", "leap-per-block"):
        difference = of("leap") - of(method)
        assert rows["lead"][method] == pytest.approx(100 * difference.mean())
        sides = ([[RIGHT[*p, name, seed] for seed in METHODS[name]] for p in PLACES]
                 for name in ("leap", method))  # fmt: skip
        error = math.hypot(clustered(difference), math.sqrt(variance_of_a_lead(*sides)))
        assert rows["lead_stderr"][method] == pytest.approx(error)
    assert rows.loc[["leap", "dense"], ["lead", "lead_stderr"]].isna().all(axis=None)
    other = comparison_rows(study(), Context("mini", subject="wanda")).set_index("method")["lead"]
    assert other["leap"] == pytest.approx(-rows["lead"]["wanda"]) and math.isnan(other["wanda"])


def test_a_lead_is_over_common_cells():
    found = comparison_rows(study(without=[("wanda", "0.6")]), Context("mini")).set_index("method")
    difference = of("leap")[::2] - of("wanda")[::2]
    assert found["cells"]["wanda"] == 2
    assert found["lead"]["wanda"] == pytest.approx(100 * difference.mean())
    alone = comparison_rows(study(without=[("leap", "0.5"), ("leap", "0.6")]), Context("mini"))
    assert alone["lead"].isna().all()


def test_tables_have_all_numbers_and_mark_missing_ones(rows):
    texts = comparison(study(GENERATED), Context("mini"))
    read = list(csv.DictReader(texts["csv"].splitlines()))
    assert [(row["method"], row["tasks"]) for row in read] == [(m, "generated") for m in METHODS]
    assert read[3]["lead"] == read[0]["cpu_seconds"] == read[1]["recovered_share"] == ""
    assert texts["md"].startswith("**Generated tasks") and "| Mini-task accuracy (%)" in texts["md"]
    lines = comparison(study(), Context("mini"))["md"].splitlines()
    wanda = rows.loc["wanda"]
    assert (
        f"| Wanda | 4 | {wanda['average']:.2f} ± {wanda.average_stderr:.2f} | {wanda.ppl:.2f} | "
        f"{wanda.recovered_share:.2f} | {wanda.lead:+.2f} ± {wanda.lead_stderr:.2f} | "
        f"{wanda.wall_seconds:.1f} | 20.0 |"
    ) in lines
