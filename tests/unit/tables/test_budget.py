"""Quality at equal tokens: rows, leads and errors against numpy, tables and both figures."""

import csv
import math

import numpy as np
import pytest

from leap_suite.results.frame import Results
from leap_suite.tables.budget import budget, budget_rows, share_text
from leap_suite.tables.context import Context
from leap_suite.tables.entries import bytes_text
from tests.unit.figures.conftest import drawn, texts
from tests.unit.results.example import (
    GENERATED,
    TASKS,
    printed,
    ran,
    results,
    variance_of_a_lead,
)

MODELS, SPARSITIES = ["qwen", "llama"], ["0.5", "0.7"]
OWN = 8000  # LEAP's tokens with its own number of steps
CONTEXT = Context(
    "mini",
    points={
        name: {"method": method, "amount": amount, "tokens": tokens, "share": tokens / OWN}
        for name, method, amount, tokens in [
            ("reconstruct", "reconstruct", "as it is", 1000),
            ("reconstruct-9-sequences", "reconstruct", "9 sequences", 8000),
            ("reconstruct-7-sequences", "reconstruct", "7 sequences", 3000),
            ("coin-50-steps", "coin", "50 steps", 1000),
            ("leap-50-steps", "leap", "50 steps", 1000),
            ("leap", "leap", "400 steps", 8000),
            ("elsa-50-steps", "elsa", "50 steps", 1000),
            ("elsa", "elsa", "400 steps", 8000),
        ]
    },
    trials={"leap": 12, "elsa": 3},
)
SEEDS = {"leap": (0, 1), "leap-50-steps": (0, 1)}
DRAW = np.random.default_rng(5)
RATES = {"dense": 0.9, "elsa": 0.8, "leap": 0.75}
# scores [tasks, items] and perplexities by model, sparsity, method and seed
RIGHT = {
    (model, sparsity, name, seed): (DRAW.random((6, 40)) < RATES.get(name, 0.5)) * 1
    for model in MODELS
    for name in ("dense", *CONTEXT.points)
    for sparsity in (["0.0"] if name == "dense" else SPARSITIES)
    for seed in SEEDS.get(name, (0,))
}
PPL = {key: 2 + 5 * DRAW.random() for key in RIGHT}


def study(tasks=TASKS) -> Results:
    return results(
        [
            ran(name, ppl=PPL[model, sparsity, name, seed], sparsity=sparsity, model=model,
                seed=seed, right=right.tolist(), changes=not name.startswith(("leap", "coin")),
                implementation="random-mask" if name.startswith("coin") else name)
            for (model, sparsity, name, seed), right in RIGHT.items()
        ],
        tasks,
    )  # fmt: skip


@pytest.fixture(scope="module")
def found() -> Results:
    return study()


@pytest.fixture(scope="module")
def rows(found):
    return budget_rows(found, CONTEXT)


def of(sparsity: str, name: str) -> np.ndarray:
    """Scores averaged over seeds, [models, tasks, items]."""
    seeds = SEEDS.get(name, (0,))
    return np.array([np.mean([RIGHT[m, sparsity, name, s] for s in seeds], axis=0) for m in MODELS])


def perplexity(sparsity: str, name: str) -> float:
    """Geometric mean over models of the mean over seeds."""
    logs = [
        np.mean([np.log(PPL[model, sparsity, name, s]) for s in SEEDS.get(name, (0,))])
        for model in MODELS
    ]
    return float(np.exp(np.mean(logs)))


def clustered(values_KTN: np.ndarray) -> float:
    """Standard error of the mean of task means over models with common items."""
    per_item_TN = values_KTN.mean(axis=0)
    variances = per_item_TN.var(axis=1, ddof=1) / per_item_TN.shape[1]
    return 100 * math.sqrt(variances.sum()) / len(per_item_TN)


ORDER = [  # tokens, name
    (1000, "coin-50-steps"), (1000, "leap-50-steps"), (1000, "elsa-50-steps"),
    (3000, "reconstruct-7-sequences"),
    (8000, "reconstruct-9-sequences"), (8000, "leap"), (8000, "elsa"),
]  # fmt: skip
PLACES = [("0.0", 0, "dense"), *((s, *each) for s in SPARSITIES for each in ORDER)]


def test_rows_are_by_sparsity_and_budget_and_leave_out_methods_as_they_are(rows):
    methods = [CONTEXT.points.get(name, {"method": name})["method"] for *_, name in PLACES]
    assert rows["method"].tolist() == methods
    assert rows["sparsity"].tolist() == [sparsity for sparsity, *_ in PLACES]
    assert rows["tokens"].tolist() == [tokens for _, tokens, _ in PLACES]
    assert rows["share"].tolist()[1:8] == [tokens / OWN for tokens, _ in ORDER]
    assert rows["seeds"].tolist()[:8] == [1, 1, 2, 1, 1, 1, 2, 1]
    expected = [{"leap": 12, "elsa": 3}.get(method, math.nan) for method in methods]
    assert rows["trials"].tolist() == pytest.approx(expected, nan_ok=True)


def test_quality_is_the_mean_over_models_with_an_error_clustered_by_item(rows):
    for row, (sparsity, _, name) in zip(rows.itertuples(), PLACES, strict=True):
        assert row.average == pytest.approx(100 * of(sparsity, name).mean())
        assert row.average_stderr == pytest.approx(clustered(of(sparsity, name)))
        assert row.ppl == pytest.approx(perplexity(sparsity, name))


def test_the_subject_is_compared_at_the_same_sparsity_and_tokens(rows):
    ours = {1000: "leap-50-steps", 8000: "leap"}
    for row, (sparsity, tokens, name) in zip(rows.itertuples(), PLACES, strict=True):
        compared = [row.lead, row.lead_stderr, row.ppl_ratio]
        if tokens not in ours or name == ours[tokens]:
            assert np.isnan(compared).all(), name
            continue
        difference = of(sparsity, ours[tokens]) - of(sparsity, name)
        ratio = perplexity(sparsity, name) / perplexity(sparsity, ours[tokens])
        sides = ([[RIGHT[m, sparsity, each, s] for s in SEEDS.get(each, (0,))] for m in MODELS]
                 for each in (ours[tokens], name))  # fmt: skip
        error = math.hypot(clustered(difference), math.sqrt(variance_of_a_lead(*sides)))
        expected = [100 * difference.mean(), error, ratio]
        assert compared == pytest.approx(expected)


def test_another_subject_has_its_own_leads(found, rows):
    context = Context("mini", points=CONTEXT.points, subject="elsa")
    other = budget_rows(found, context)
    leads = rows["lead"][rows["method"] == "elsa"].tolist()
    theirs = other["lead"][(other["method"] == "leap")].tolist()
    assert theirs == pytest.approx([-lead for lead in leads])
    assert other["trials"].isna().all()


def test_shipped_bytes_are_a_bit_a_weight_and_changed_weights(rows):
    at = rows[rows["tokens"] == 8000].set_index(["sparsity", "method"])["shipped_bytes"]
    # of 1,000 weights in bfloat16
    assert at["0.5"].to_dict() == {"reconstruct": 1125, "leap": 125, "elsa": 1125}
    assert at["0.7"].to_dict() == {"reconstruct": 725, "leap": 125, "elsa": 725}
    assert math.isnan(rows["shipped_bytes"][0]) and math.isnan(rows["wall_seconds"][0])


def test_tables_mark_the_best_of_several_methods_that_are_no_controls(rows):
    made = budget(study(GENERATED), CONTEXT)
    read = list(csv.DictReader(made["csv"].splitlines()))
    assert [row["method"] for row in read] == rows["method"].tolist()
    assert read[0]["lead"] == read[0]["share"] == "" and read[1]["tasks"] == "generated"
    assert made["md"].startswith("**Generated tasks")
    lines = printed(made["md"])
    assert lines[0][:4] == ["–", "–", "–", "Dense"] and lines[2][:4] == [
        "0.5",
        "1,000",
        "1/8",
        "LEAP",
    ]
    for column, measure, best in ((4, "average", max), (5, "ppl", min)):
        for (_, tokens), of_place in rows.groupby(["sparsity", "tokens"]):
            competing = of_place[~of_place["method"].isin(["dense", "coin"])]
            bold = {i for i in of_place.index if lines[i][column].startswith("**")}
            winner = best(competing.index, key=competing[measure].get, default=None)
            assert bold == ({winner} if len(competing) > 1 else set()), (tokens, measure)
    row = rows.loc[3]
    assert lines[3][6:] == [
        f"{row.lead:+.2f} ± {row.lead_stderr:.2f}", f"{row.ppl_ratio:.3f}", "1.12 kB", "10.0",
        "20.0", "1", "3",
    ]  # fmt: skip
    assert lines[4][6:8] == ["–", "–"] and lines[4][-1] == "–"


def test_shares_are_fractions_and_bytes_have_units():
    shares = [share_text(share) for share in (0.125, 1 / 3, 1.0, 2.0, 0.123457, math.nan)]
    assert shares == ["1/8", "1/3", "1", "2", "0.12", "–"]
    sizes = [bytes_text(size) for size in (0, 125, 999.4, 999.6, 18432, 999_700, 13.3e6, 1.5e9)]
    assert sizes == ["0 B", "125 B", "999 B", "1 kB", "18.4 kB", "1 MB", "13.3 MB", "1.5 GB"]
    assert bytes_text(math.nan) == "–"


def points_of(panel) -> list[tuple[float, ...]]:
    return sorted(tuple(p) for bars in panel.containers for p in bars.lines[0].get_xydata())


def test_the_figure_has_every_row_by_sparsity(found, rows):
    figure = drawn("budget", CONTEXT, results=found)
    assert [axes.get_title() for axes in figure.axes[:2]] == ["sparsity 0.5", "sparsity 0.7"]
    measures = [(measure, sparsity) for measure in ("average", "ppl") for sparsity in SPARSITIES]
    for panel, (measure, sparsity) in zip(figure.axes, measures, strict=True):
        at = rows[rows["sparsity"] == sparsity]
        expected = sorted(at[["tokens", measure]].itertuples(index=False, name=None))
        assert np.allclose(points_of(panel), expected)
        levels = [line.get_ydata()[0] for line in panel.lines if [*line.get_xdata()] == [0, 1]]
        assert levels == pytest.approx([rows[measure][0]])
    lines = [bars.lines[0] for bars in figure.axes[0].containers]
    assert [line.get_marker() for line in lines if line.get_linewidth() == 2] == ["*"]


def test_panels_of_budgets_end_near_the_subjects_worst_point(found, rows):
    figure = drawn("budget", CONTEXT, results=found)
    assert any("end near the worst point of the thick line" in text for text in texts(figure))
    cut = 0
    for sparsity, above, below in zip(SPARSITIES, figure.axes[:2], figure.axes[2:], strict=True):
        at = rows[rows["sparsity"] == sparsity]
        ours = at[at["method"] == "leap"]
        assert above.get_ylim()[0] >= ours["average"].min() - 5
        assert below.get_ylim()[0] < min(at["ppl"].min(), rows["ppl"][0])
        if at["ppl"].max() > 1.1 * ours["ppl"].max():
            assert below.get_ylim()[1] == pytest.approx(1.1 * ours["ppl"].max())
            cut += 1
        else:
            assert below.get_ylim()[1] > at["ppl"].max()
    assert cut, "the example has no method far above the subject"


def test_shipped_is_at_the_subjects_own_tokens(found, rows):
    figure = drawn("shipped", CONTEXT, results=found)
    at = rows[rows["tokens"] == OWN]
    for panel, measure in zip(figure.axes, ("average", "ppl"), strict=True):
        expected = sorted(at[["shipped_bytes", measure]].itertuples(index=False, name=None))
        assert np.allclose(points_of(panel), expected)
        assert [text.get_text() for text in panel.texts] == ["0.5"] * 2 + ["0.7"] * 2
    assert "Shipped bytes (log scale), 8,000 tokens seen" in texts(figure)
    # without a point at the subject's own tokens, the nearest of its points
    points = {name: p for name, p in CONTEXT.points.items() if p["tokens"] != OWN}
    figure = drawn("shipped", Context("mini", points=points), results=found)
    assert "Shipped bytes (log scale), 1,000 tokens seen" in texts(figure)
