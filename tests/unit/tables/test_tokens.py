"""Quality against tokens seen: rows against numpy, the tables, the figure."""

import csv
import re

import numpy as np
import pytest

from suite.figures.tokens import tokens as figure
from suite.tables.tokens import token_rows, tokens
from suite.tables.told import Told
from tests.unit.made import part_of
from tests.unit.results.example import GENERATED, ran, results

MODELS = ["qwen", "llama"]
TOLD = Told(
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
    for name in ("dense", *TOLD.points)
    for seed in ((0, 1) if name.startswith("leap") else (0,))
]


@pytest.fixture(scope="module")
def study():
    return results(CELLS)


@pytest.fixture(scope="module")
def rows(study):
    return token_rows(study, TOLD)


@pytest.fixture
def axes(study, monkeypatch):
    """The figure's: perplexity of all models, then accuracy."""
    kept = []
    monkeypatch.setattr("suite.figures.tokens.save", lambda figure, *_: kept.append(figure))
    figure(study, TOLD, [])
    return kept[0].axes


def test_rows_are_the_points_in_order_with_seeds_averaged(rows):
    order = [("dense", "")] + [(p["method"], p["amount"]) for p in TOLD.points.values()]
    found = rows[["model", "method", "amount"]].itertuples(index=False, name=None)
    assert list(found) == [(model, *point) for model in MODELS for point in order]
    for row, name in zip(rows[:8].itertuples(), ["dense", *TOLD.points], strict=True):
        seeds = [c for c in CELLS if (c["cell"].model, c["cell"].method) == ("qwen", name)]
        assert row.seeds == len(seeds)
        assert row.average == pytest.approx(100 * np.mean([cell["acc"] for cell in seeds]))
        assert row.average_stderr == pytest.approx(3 / np.sqrt(6))
        assert row.ppl == pytest.approx(np.mean([cell["ppl"] for cell in seeds]))
        assert row.ppl_stderr == pytest.approx(row.ppl / 100)
    assert rows["tokens"].tolist()[:8:7] == [0, 819200]
    assert rows["wall_seconds"].tolist()[7] == 1.5 and set(rows["sparsity"]) == {"0.0", "0.6"}


def test_tables(rows):
    texts = tokens(results(CELLS, GENERATED), TOLD)
    read = list(csv.DictReader(texts["csv"].splitlines()))
    assert [row["tokens"] for row in read[:3]] == ["0", "16384", "16384"]
    assert (read[0]["wall_seconds"], read[0]["amount"]) == ("", "")
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


def test_points_lie_at_their_tokens_and_values_and_lines_at_dense_and_the_best(axes, rows):
    measures = [(model, *each) for each in (("ppl", min), ("average", max)) for model in MODELS]
    for panel, (model, measure, best) in zip(axes, measures, strict=True):
        of_model = rows[rows["model"] == model]
        assert panel.get_xscale() == "log"
        lines = [tuple(map(tuple, line.get_xydata())) for line in panel.lines]
        as_it_is = of_model["amount"] == "as it is"
        for method in ("admm", "wanda", "leap"):
            for alone in (True, False):
                part = of_model[(of_model["method"] == method) & (as_it_is == alone)]
                points = sorted(zip(part["tokens"], part[measure], strict=True))
                same = [line for line in lines if len(line) == len(points)]
                assert not points or any(np.allclose(line, points) for line in same)
        levels = {line[0][1] for line in lines if len(line) == 2 and line[0][0] == 0}
        expected = [of_model[measure].iloc[0], best(of_model[measure][as_it_is])]
        assert sorted(levels) == pytest.approx(sorted(expected))


def test_bars_are_standard_errors(axes, rows):
    pruned = rows[(rows["model"] == "qwen") & (rows["method"] != "dense")]
    for panel, measure in zip(axes[::2], ("ppl", "average"), strict=True):
        ends = [
            (low, high) for bars in panel.collections for (_, low), (_, high) in bars.get_segments()
        ]
        values, errors = pruned[measure], pruned[f"{measure}_stderr"]
        expected = sorted(zip(values - errors, values + errors, strict=True))
        assert np.allclose(sorted(ends), expected)


def test_figure_names_everything_and_numbers_its_ticks(study, tmp_path):
    figure(part_of(study, study.cells["model"] == "qwen"), TOLD, [tmp_path / "figure.svg"])
    svg = (tmp_path / "figure.svg").read_text()
    for text in ["qwen", "ADMM", "Wanda", "LEAP", "Dense", "Tokens seen (log scale)",
                 "layer-wise, as it is", "the best of these"]:  # fmt: skip
        assert f">{text}<" in svg, text
    ticks = re.findall(r">(\d+k)</text>", svg)
    assert {"10k", "100k"} <= set(ticks) and ticks.count("100k") == 2, "once below each panel"
