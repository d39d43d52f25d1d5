"""Quality against tokens seen: rows against numpy, tables and figure."""

import csv

import numpy as np
import pytest

from leap_suite.tables.context import Context
from leap_suite.tables.tokens import token_rows, tokens
from tests.unit.figures.conftest import drawn, texts
from tests.unit.results.example import GENERATED, ran, results

MODELS = ["qwen", "llama"]
CONTEXT = Context(
    "mini",
    points={
        name: {"method": method, "amount": amount, "tokens": number}
        for name, method, amount, number in [
            ("admm", "admm", "as it is", 16384),
            ("wanda", "wanda", "as it is", 16384),
            ("admm-512-sequences", "admm", "512 sequences", 65536),
            ("admm-64-sequences", "admm", "64 sequences", 8192),
            ("wanda-512-sequences", "wanda", "512 sequences", 65536),
            ("leap-25-steps", "leap", "25 steps", 51200),
            ("leap", "leap", "400 steps", 819200),
        ]
    },
)
DRAW = np.random.default_rng(1)
# LEAP with two seeds, the others with one, in the order of the cells of a grid
CELLS = [
    ran(name, 0.5 + 0.3 * DRAW.random(), 2 + 5 * DRAW.random(), "0.6", model, seed, wall=1.0 + seed)
    for model in MODELS
    for name in ("dense", *CONTEXT.points)
    for seed in ((0, 1) if name.startswith("leap") else (0,))
]


@pytest.fixture(scope="module")
def study():
    return results(CELLS)


@pytest.fixture(scope="module")
def rows(study):
    return token_rows(study, CONTEXT)


def test_rows_are_the_points_in_order_with_seeds_averaged(rows):
    order = [("dense", "")] + [(p["method"], p["amount"]) for p in CONTEXT.points.values()]
    found = rows[["model", "method", "amount"]].itertuples(index=False, name=None)
    assert list(found) == [(model, *point) for model in MODELS for point in order]
    for row, name in zip(rows[:8].itertuples(), ["dense", *CONTEXT.points], strict=True):
        seeds = [c for c in CELLS if (c["cell"].model, c["cell"].method) == ("qwen", name)]
        assert row.seeds == len(seeds)
        assert row.average == pytest.approx(100 * np.mean([cell["acc"] for cell in seeds]))
        assert row.average_stderr == pytest.approx(3 / np.sqrt(6))
        assert row.ppl == pytest.approx(np.mean([cell["ppl"] for cell in seeds]))
        assert row.ppl_stderr == pytest.approx(row.ppl / 100)
    assert rows["tokens"].tolist()[:8:7] == [0, 819200]
    assert rows["wall_seconds"].tolist()[7] == 1.5 and set(rows["sparsity"]) == {"0.0", "0.6"}


def test_tables(rows):
    texts = tokens(results(CELLS, GENERATED), CONTEXT)
    dense, first, *_ = csv.DictReader(texts["csv"].splitlines())
    assert (dense["tokens"], dense["wall_seconds"], first["tokens"]) == ("0", "", "16384")
    lines = texts["md"].splitlines()
    assert lines[0].startswith("**Generated tasks for miniature models") and "### llama" in lines
    for place, begin, end in (
        (7, "LEAP | 400 steps | 819,200", "1.5 | 20.0"),
        (0, "Dense | – | –", "– | –"),
    ):
        row = rows.loc[place]
        quality = (
            f"{row.average:.2f} ± {row.average_stderr:.2f} | {row.ppl:.3f} ± {row.ppl_stderr:.3f}"
        )
        assert f"| {begin} | {quality} | {end} |" in lines


def test_several_sparsities_have_a_column_and_panels_of_their_own():
    cells = [ran("dense", model=model) for model in MODELS]
    for model in MODELS:
        for sparsity in ("0.7", "0.5"):
            cells += [ran(name, sparsity=sparsity, model=model) for name in CONTEXT.points]
    study = results(cells)
    found = token_rows(study, CONTEXT)
    of_model = ["0.0", *["0.5"] * len(CONTEXT.points), *["0.7"] * len(CONTEXT.points)]
    assert found["sparsity"].tolist() == of_model * 2
    lines = tokens(study, CONTEXT)["md"].splitlines()
    assert sum(line.startswith("| 0.7 | LEAP | 400 steps") for line in lines) == 2
    figure = drawn("tokens", CONTEXT, results=study)
    titles = [f"{model} at {sparsity}" for model in MODELS for sparsity in ("0.5", "0.7")]
    assert [axes.get_title().replace("\n", " ") for axes in figure.axes[:4]] == titles
    for axes in figure.axes[:4]:
        points = [point for bars in axes.containers for point in bars.lines[0].get_xydata()]
        assert len(points) == len(CONTEXT.points)


def test_the_figure_has_points_with_errors_and_lines_at_dense_and_the_best(study, rows):
    figure = drawn("tokens", CONTEXT, results=study)
    measures = [(model, *each) for each in (("ppl", min), ("average", max)) for model in MODELS]
    for panel, (model, measure, best) in zip(figure.axes, measures, strict=True):
        of_model = rows[rows["model"] == model]
        pruned = of_model[of_model["method"] != "dense"]
        points = [point for bars in panel.containers for point in bars.lines[0].get_xydata()]
        expected = pruned[["tokens", measure]].to_numpy()
        assert np.allclose(sorted(map(tuple, points)), sorted(map(tuple, expected)))
        ends = [bar[:, 1] for bars in panel.collections for bar in bars.get_segments()]
        errors = pruned[f"{measure}_stderr"]
        spans = zip(pruned[measure] - errors, pruned[measure] + errors, strict=True)
        assert np.allclose(sorted(map(tuple, ends)), sorted(spans))
        levels = [line.get_ydata()[0] for line in panel.lines if line.get_linewidth() == 0.9]
        as_it_is = of_model[of_model["amount"] == "as it is"]
        levels_expected = [of_model[measure].iloc[0], best(as_it_is[measure])]
        assert sorted(set(levels)) == pytest.approx(sorted(levels_expected))
    legend = [text.get_text() for text in figure.legends[0].get_texts()]
    assert legend == ["Dense", "ADMM", "Wanda", "LEAP", "layer-wise, as it is", "the best of these"]
    assert {"10k", "100k", "Tokens seen (log scale)", *MODELS} <= set(texts(figure))
