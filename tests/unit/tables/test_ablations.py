"""Ablations: numbers against numpy, the order of rows, the table, the figure."""

import csv
import re
from functools import cache

import numpy as np
import pytest

from suite.figures.ablations import ablations as figure
from suite.figures.style import shades
from suite.tables.ablations import ablation_rows, ablations
from suite.tables.told import Told
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


def told(*variants, base="leap"):
    return Told("mini", study={"variants": {"base": base, "variants": dict.fromkeys(variants)}})


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


def draw(folder, found, told):
    """The figure as SVG."""
    figure(found, told, [folder / "figure.svg"])
    return (folder / "figure.svg").read_text()


def test_rows_are_the_base_and_its_variants_of_each_model():
    rows = ablation_rows(grid(), told(*VARIANTS))
    order = list(zip(rows["model"], rows["variant"], strict=True))
    assert order == [(model, variant) for model in MODELS for variant in ("(base)", *VARIANTS)]
    backwards = ablation_rows(grid(), told(*VARIANTS[::-1]))
    assert backwards["variant"].tolist()[1:11] == VARIANTS[::-1]
    assert set(rows["seeds"]) == {3} and set(rows["sparsity"]) == {"0.6"}


def test_means_deviations_and_differences_paired_by_seed():
    rows = ablation_rows(grid(), told(*VARIANTS))
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
    row = ablation_rows(results(cells[::-1]), told("hard")).loc[1]
    assert (row["ppl_difference"], row["average_difference"]) == pytest.approx((2, -1))
    assert (row["ppl_difference_stderr"], row["average_difference_stderr"]) == pytest.approx((0, 0))
    assert row["achieved_sparsity"] == pytest.approx(0.57)


def test_csv_leaves_what_is_not_defined_empty():
    cells = pair("hard", [(10, 0.5)], [(12.5, 0.4925)])
    text = ablations(results(cells, GENERATED), told("hard"))["csv"]
    assert text.splitlines() == [
        "model,method,variant,sparsity,seeds,tasks,achieved_sparsity,ppl,ppl_std,ppl_difference,"
        "ppl_difference_stderr,average,average_std,average_difference,average_difference_stderr",
        "qwen_tiny,leap,(base),0.6,1,generated,0.6,10,,0,,50,,0,",
        "qwen_tiny,leap-hard,hard,0.6,1,generated,0.6,12.5,,2.5,,49.25,,-0.75,",
    ]
    assert len(list(csv.DictReader(ablations(grid(), told(*VARIANTS))["csv"].splitlines()))) == 22


def test_markdown_prints_means_errors_and_differences():
    base = [(10 + seed, 0.50 + seed / 100) for seed in range(3)]
    other = [(10.5 + 2 * seed, 0.485 + seed / 50) for seed in range(3)]
    found = results(pair("no-noise", base, other, achieved=0.57126), TASKS)
    text = ablations(found, told("no-noise"))["md"]
    assert text.startswith("Scale `mini`. Variants of LEAP at sparsity 0.6: ")
    assert "over 3 seeds" in text and r"### qwen\_tiny" in text
    assert printed(text) == [
        ["LEAP", "60.00", "11.000 ± 1.000", "–", "51.00 ± 1.00", "–"],
        ["no noise", "57.13", "12.500 ± 2.000", "+1.500 ± 0.577", "50.50 ± 2.00", "-0.50 ± 0.58"],
    ]


def test_markdown_of_one_seed_of_broken_models_and_of_generated_tasks():
    found = results(pair("hard", [(10, 0.5)], [(2.5e6, 0.49999)]), GENERATED)
    text = ablations(found, told("hard"))["md"]
    assert "One seed." in text and "±" not in text
    # A difference too small to be printed is not "-0.00".
    assert printed(text)[1] == ["hard", "60.00", "2.5e+06", "+2.5e+06", "50.00", "+0.00"]
    assert text.startswith("**Generated tasks for miniature models: not PIQA")
    assert "| Mini-task accuracy (%) |" in text


def test_dots_lie_at_their_names_base_on_top_and_at_their_values(tmp_path):
    found = grid(("qwen",))
    rows, svg = ablation_rows(found, told(*VARIANTS)), draw(tmp_path, found, told(*VARIANTS))
    names = ["LEAP", *(variant.replace("-", " ") for variant in VARIANTS)]
    texts = re.findall(r' y="([\d.]+)"[^>]*>([^<]+)<', svg)
    heights = {name: float(height) for height, name in texts}
    dots = re.findall(r'<use [^>]*x="([\d.]+)" y="([\d.]+)" style="fill: [^>]*stroke: #000000', svg)
    across, down = np.array(dots, dtype=float).reshape(2, len(rows), 2).transpose(2, 0, 1)
    lowered = np.array([heights[name] for name in names]) - down
    assert np.ptp(lowered) < 0.01, "each dot is as high as its name, but for half a letter"
    assert (np.diff(down) > 0).all(), "in order, from the top down"
    for panel, name in zip(across, ("ppl", "average"), strict=True):
        assert np.corrcoef(panel, rows[name])[0, 1] == pytest.approx(1, abs=1e-6)
    assert ">qwen<" not in svg and "vertical line: LEAP" in svg, "one model needs no legend"
    alone = results(pair("hard", [(10, 0.5)], []))
    assert "One seed; vertical line: LEAP" in draw(tmp_path, alone, told())


@pytest.mark.parametrize(("factor", "logarithmic"), [(2.9, False), (3.1, True), (1e5, True)])
def test_perplexities_far_apart_are_on_a_log_axis(tmp_path, factor, logarithmic):
    # The deviation is larger than the mean: the bar would reach below zero.
    other = [(10 * factor * share, 0.4) for share in (0.01, 0.01, 2.98)]
    svg = draw(tmp_path, results(pair("hard", [(10, 0.5)] * 3, other)), told("hard"))
    assert (">Perplexity (log scale) – lower is better<" in svg) == logarithmic


@pytest.mark.parametrize(
    ("achieved", "said"),
    [((0.5712, 0.5712), ["57.12"]), ((0.58, 0.5712), ["57.12–58.00"]), ((0.5999, 0.6), [])],
)
def test_figure_says_where_the_sparsity_is_another(tmp_path, achieved, said):
    svg = draw(tmp_path, grid(achieved=achieved), told(*VARIANTS))
    assert re.findall(r"\(([\d.–]+) % sparse\)", svg) == said
    for text in [
        *MODELS,
        "Perplexity – lower is better",
        "Average accuracy (%) – higher is better",
    ]:
        assert f">{text}<" in svg, text
    assert "over 3 seeds; vertical lines: LEAP" in svg


def test_models_differ_without_colour():
    looks = shades([f"model-{number}" for number in range(6)]).values()
    assert len({look.marker for look in looks}) == len({look.colour for look in looks}) == 6
