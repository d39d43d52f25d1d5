"""Ablations: numbers against numpy, order of rows, table and figure."""

import re
from functools import cache

import numpy as np
import pytest

from leap_suite.tables.ablations import ablation_rows, ablations
from leap_suite.tables.context import Context
from tests.unit.figures.conftest import drawn, texts
from tests.unit.results.example import GENERATED, TASKS, printed, ran, results

MODELS = ("qwen-tiny", "llama_tiny")
VARIANTS = (
    "gumbel random-start magnitude-start no-magnitude l1 per-block hard threshold short long"
).split()
METHODS = ["leap", *(f"leap-{variant}" for variant in VARIANTS)]
DRAW = np.random.default_rng(7)
# A seed shifts all methods alike, so paired differences vary less than the methods do.
SHIFT = DRAW.normal(size=(2, 1, 3))
PPL = 12 + SHIFT + DRAW.normal(scale=0.3, size=(2, 11, 3)) + np.arange(11)[None, :, None] / 9
ACCURACY = 0.55 - 0.03 * SHIFT + 0.01 * DRAW.normal(size=(2, 11, 3))


def context(*variants, base="leap"):
    return Context("mini", study={"variants": {"base": base, "variants": dict.fromkeys(variants)}})


@cache
def grid(models=MODELS, achieved=(0.6, 0.6)):
    """All variants with three seeds, seed by seed; one has another sparsity on each model."""
    return results(
        ran(method, ACCURACY[m, v, seed], PPL[m, v, seed], "0.6", model, seed,
            **({"achieved": achieved[m]} if method == "leap-threshold" else {}))
        for seed in range(3)
        for m, model in enumerate(models)
        for v, method in enumerate(METHODS)
    )  # fmt: skip


def pair(variant, base, other, **changes):
    """The base and a variant with these perplexities and accuracies by seed."""
    return [
        ran(method, accuracy, ppl, "0.6", "qwen_tiny", seed, **more)
        for method, values, more in (("leap", base, {}), (f"leap-{variant}", other, changes))
        for seed, (ppl, accuracy) in enumerate(values)
    ]


def test_rows_are_the_base_and_its_variants_of_each_model():
    rows = ablation_rows(grid(), context(*VARIANTS[::-1]))
    order = list(zip(rows["model"], rows["variant"], strict=True))
    assert order == [(model, v) for model in MODELS for v in ("(base)", *VARIANTS[::-1])]
    assert set(rows["seeds"]) == {3} and set(rows["sparsity"]) == {"0.6"}


def test_means_deviations_and_differences_paired_by_seed():
    rows = ablation_rows(grid(), context(*VARIANTS))
    for name, values in (("ppl", PPL), ("average", 100 * ACCURACY)):
        differences = values - values[:, :1]
        expected = {
            name: values.mean(axis=2),
            f"{name}_std": values.std(axis=2, ddof=1),
            f"{name}_difference": differences.mean(axis=2),
            f"{name}_difference_stderr": differences.std(axis=2, ddof=1) / np.sqrt(3),
        }
        for field, value in expected.items():
            assert rows[field].tolist() == pytest.approx(value.ravel()), field
    # a shift that all seeds share has no error, whatever the order of the cells
    cells = pair("hard", [(10, 0.5), (11, 0.46)], [(12, 0.49), (13, 0.45)], achieved=0.57)
    row = ablation_rows(results(cells[::-1]), context("hard")).loc[1]
    assert (row["ppl_difference"], row["average_difference"]) == pytest.approx((2, -1))
    assert (row["ppl_difference_stderr"], row["average_difference_stderr"]) == pytest.approx((0, 0))
    assert row["achieved_sparsity"] == pytest.approx(0.57)


def test_tables_of_one_seed_of_a_broken_model_and_generated_tasks():
    cells = pair("hard", [(10, 0.5)], [(2.5e6, 0.49999)])
    texts = ablations(results(cells, GENERATED), context("hard"))
    row = "qwen_tiny,leap-hard,hard,0.6,1,generated,0.6,2500000,,2499990,,49.999,,-0.001,"
    assert texts["csv"].splitlines()[2] == row
    assert "One seed." in texts["md"] and "±" not in texts["md"]
    # a difference too small to print is not "-0.00"
    assert printed(texts["md"])[1] == ["hard", "60.00", "2.5e+06", "+2.5e+06", "50.00", "+0.00"]
    assert texts["md"].startswith("**Generated tasks for miniature models: not PIQA")
    assert "| Mini-task accuracy (%) |" in texts["md"]


def test_markdown_has_means_errors_and_differences():
    base = [(10 + seed, 0.50 + seed / 100) for seed in range(3)]
    other = [(10.5 + 2 * seed, 0.485 + seed / 50) for seed in range(3)]
    found = results(pair("no-noise", base, other, achieved=0.57126), TASKS)
    text = ablations(found, context("no-noise"))["md"]
    assert "Variants of LEAP at sparsity 0.6: " in text and "over 3 seeds" in text
    assert printed(text) == [
        ["LEAP", "60.00", "11.000 ± 1.000", "–", "51.00 ± 1.00", "–"],
        ["no noise", "57.13", "12.500 ± 2.000", "+1.500 ± 0.577", "50.50 ± 2.00", "-0.50 ± 0.58"],
    ]


@pytest.mark.parametrize(
    ("achieved", "said"), [((0.58, 0.5712), ["57.12–58.00"]), ((0.5999, 0.6), [])]
)
def test_the_figure_has_a_row_per_variant_with_its_means(achieved, said):
    figure = drawn("ablations", context(*VARIANTS), results=grid(achieved=achieved))
    rows, left = ablation_rows(grid(), context(*VARIANTS)), figure.axes[0]
    names = [label.get_text().replace("\n", " ") for label in left.get_yticklabels()]
    assert [name.partition(" (")[0] for name in names] == [
        "LEAP", *(variant.replace("-", " ") for variant in VARIANTS)
    ]  # fmt: skip
    assert re.findall(r"\(([\d.–]+) % sparse\)", " ".join(names)) == said
    for axes, measure in zip(figure.axes, ("ppl", "average"), strict=True):
        for bars, (_, of_model) in zip(
            axes.containers, rows.groupby("model", sort=False), strict=True
        ):
            across, down = bars.lines[0].get_xydata().T
            assert across.tolist() == pytest.approx(of_model[measure].tolist())
            assert np.round(down).tolist() == list(range(11))
    found = texts(figure)
    assert {*MODELS, "Perplexity – lower is better"} <= set(found)
    assert "over 3 seeds; vertical lines: LEAP" in " ".join(found)


@pytest.mark.parametrize(("factor", "logarithmic"), [(2.9, False), (3.1, True), (1e5, True)])
def test_perplexities_far_apart_are_on_a_log_axis(factor, logarithmic):
    # the deviation exceeds the mean: the bar would reach below zero
    other = [(10 * factor * share, 0.4) for share in (0.01, 0.01, 2.98)]
    found = results(pair("hard", [(10, 0.5)] * 3, other))
    label = drawn("ablations", context("hard"), results=found).axes[0].get_xlabel()
    assert (label == "Perplexity (log scale) – lower is better") == logarithmic
