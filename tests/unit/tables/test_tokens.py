"""Quality against tokens seen: rows against numpy, the tables, the figure."""

import csv
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from suite.figures.tokens import tokens
from suite.plan.cell import Cell
from suite.tables.evaluations import TASKS, Evaluated
from suite.tables.seconds import Seconds
from suite.tables.tokens import Row, token_rows, write_token_csv, write_token_markdown

MODELS = ["qwen", "llama"]
POINTS = {
    "admm": {"method": "admm", "amount": "as it is", "tokens": 16384},
    "wanda": {"method": "wanda", "amount": "as it is", "tokens": 16384},
    "admm-512-sequences": {"method": "admm", "amount": "512 sequences", "tokens": 65536},
    "admm-64-sequences": {"method": "admm", "amount": "64 sequences", "tokens": 8192},
    "wanda-512-sequences": {"method": "wanda", "amount": "512 sequences", "tokens": 65536},
    "leap-25-steps": {"method": "leap", "amount": "25 steps", "tokens": 51200},
    "leap": {"method": "leap", "amount": "400 steps", "tokens": 819200},
}


def cell(place: Cell, perplexity: float, accuracy: float, task: str = "") -> Evaluated:
    return Evaluated(
        place, place.target, perplexity, perplexity / 100, dict.fromkeys(TASKS, accuracy),
        dict.fromkeys(TASKS, accuracy / 10), {}, {t: (f"{task}{t}", "1", 9) for t in TASKS},
    )  # fmt: skip


def study(task: str = "") -> dict[Cell, Evaluated]:
    """LEAP with two seeds, the others with one, in the order of the cells of a grid."""
    random = np.random.default_rng(1)
    places = []
    for model in MODELS:
        places.append(Cell.dense(model))
        for method in POINTS:
            seeds = (0, 1) if POINTS[method]["method"] == "leap" else (0,)
            places += [Cell(model, method, "0.6", seed) for seed in seeds]
    return {p: cell(p, 2 + 5 * random.random(), 50 + 30 * random.random(), task) for p in places}


def rows(found: dict[Cell, Evaluated]) -> list[Row]:
    taken = {c: Seconds(1.0 + c.seed, 0.5) for c in found if c.method != "dense"}
    return token_rows(list(found.values()), POINTS, taken)


def draw(folder: Path, found: list[Row]) -> str:
    write_token_csv(found, folder / "tokens.csv")
    tokens(folder / "tokens.csv", [folder / "figure.svg"], note="")
    return (folder / "figure.svg").read_text()


def test_rows_are_the_points_in_order_with_seeds_averaged() -> None:
    found = study()
    table = rows(found)
    order = [("dense", ""), *((p["method"], p["amount"]) for p in POINTS.values())]
    assert [(r.model, r.method, r.amount) for r in table] == [
        (m, *o) for m in MODELS for o in order
    ]
    for row, name in zip(table[:8], ["dense", *POINTS], strict=True):
        seeds = [r for c, r in found.items() if (c.model, c.method) == ("qwen", name)]
        assert row.seeds == len(seeds)
        assert row.average == pytest.approx(np.mean([r.average for r in seeds]))
        assert row.average_stderr == pytest.approx(row.average / 10 / np.sqrt(6))
        assert row.ppl == pytest.approx(np.mean([r.perplexity for r in seeds]))
        assert row.ppl_stderr == pytest.approx(row.ppl / 100)
    assert (table[0].tokens, table[7].tokens) == (0, 819200)
    assert (table[7].wall_seconds, table[7].cpu_seconds) == (1.5, 0.5)
    assert {row.sparsity for row in table} == {"0.0", "0.6"}


def test_tables(tmp_path: Path) -> None:
    found = rows(study("mini_"))
    write_token_csv(found, tmp_path / "tokens.csv")
    write_token_markdown(found, tmp_path / "tokens.md", "mini")
    with (tmp_path / "tokens.csv").open(newline="") as file:
        read = list(csv.DictReader(file))
    assert [row["tokens"] for row in read[:3]] == ["0", "16384", "16384"]
    assert (read[0]["wall_seconds"], read[0]["amount"]) == ("", "")
    text = (tmp_path / "tokens.md").read_text()
    assert text.startswith("**Generated tasks for miniature models") and "### llama" in text
    row = found[7]
    assert (
        f"| LEAP | 400 steps | 819,200 | {row.average:.2f} ± {row.average_stderr:.2f} | "
        f"{row.ppl:.3f} ± {row.ppl_stderr:.3f} | 1.5 | 0.5 |"
    ) in text.splitlines()
    dense = found[0]
    assert (
        f"| Dense | – | – | {dense.average:.2f} ± {dense.average_stderr:.2f} | "
        f"{dense.ppl:.3f} ± {dense.ppl_stderr:.3f} | – | – |"
    ) in text.splitlines()


# Figure


def test_figure_names_everything_and_is_repeatable(tmp_path: Path) -> None:
    table = tmp_path / "tokens.csv"
    write_token_csv(rows(study()), table)
    first, second = (
        [tmp_path / name / f"figure.{suffix}" for suffix in ("svg", "pdf", "png")]
        for name in ("first", "second")
    )
    tokens(table, first, note="")
    tokens(table, second, note="")
    svg, pdf, png = (path.read_bytes() for path in first)
    assert (svg[:5], pdf[:5], png[:4]) == (b"<?xml", b"%PDF-", b"\x89PNG")
    assert [path.read_bytes() for path in second] == [svg, pdf, png]
    for text in [*MODELS, "ADMM", "Wanda", "LEAP", "Dense", "Tokens seen (log scale)",
                 "layer-wise, as it is", "the best of these"]:  # fmt: skip
        assert f">{text}<" in svg.decode(), text


def panels(monkeypatch: pytest.MonkeyPatch, folder: Path, found: list[Row]) -> list[Any]:
    """The axes of the figure of these rows: perplexity of all models, then accuracy."""
    kept = []
    monkeypatch.setattr("suite.figures.tokens.save", lambda figure, *_: kept.append(figure))
    write_token_csv(found, folder / "tokens.csv")
    tokens(folder / "tokens.csv", [], note="")
    return kept[0].axes


def test_points_lie_at_their_tokens_and_values_and_lines_at_dense_and_the_best(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = rows(study())
    axes = panels(monkeypatch, tmp_path, found)
    for panel, (model, measure, best) in zip(
        axes, [(m, *x) for x in (("ppl", min), ("average", max)) for m in MODELS], strict=True
    ):
        of_model = [row for row in found if row.model == model]
        assert panel.get_xscale() == "log"
        lines = [tuple(map(tuple, line.get_xydata())) for line in panel.lines]
        for method in ("admm", "wanda", "leap"):
            points = [(r.tokens, getattr(r, measure)) for r in of_model if r.method == method]
            alone = [r for r in of_model if (r.method, r.amount) == (method, "as it is")]
            own = [(r.tokens, getattr(r, measure)) for r in alone]
            expected = sorted(point for point in points if point not in own)
            assert any(np.allclose(line, expected) for line in lines if len(line) == len(expected))
            assert all(any(np.allclose(line, [p]) for line in lines if len(line) == 1) for p in own)
        as_it_is = [getattr(r, measure) for r in of_model if r.amount == "as it is"]
        levels = {line[0][1] for line in lines if len(line) == 2 and line[0][0] == 0}
        dense = getattr(of_model[0], measure)
        assert sorted(levels) == pytest.approx(sorted([dense, best(as_it_is)]))


def test_bars_are_standard_errors(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = rows(study())
    for panel, measure in zip(
        panels(monkeypatch, tmp_path, found)[::2], ("ppl", "average"), strict=True
    ):
        ends = {
            (round(low, 6), round(high, 6))
            for bars in panel.collections
            for (_, low), (_, high) in bars.get_segments()
        }
        expected = {
            (
                round(getattr(r, measure) - getattr(r, f"{measure}_stderr"), 6),
                round(getattr(r, measure) + getattr(r, f"{measure}_stderr"), 6),
            )
            for r in found
            if r.model == "qwen" and r.method != "dense"
        }
        assert ends == expected


def test_numbers_of_tokens_on_the_axis_are_those_of_their_ticks(tmp_path: Path) -> None:
    svg = draw(tmp_path, [row for row in rows(study()) if row.model == "qwen"])
    found = re.findall(r">(\d+k)</text>", svg)
    assert {"10k", "100k"} <= set(found) and found.count("100k") == 2, "once below each panel"


def test_unusable_tables_are_refused(tmp_path: Path) -> None:
    (tmp_path / "tokens.csv").write_text("model,method,amount,tokens,ppl,ppl_stderr,average\n")
    with pytest.raises(ValueError, match=r"tokens\.csv: no column average_stderr"):
        tokens(tmp_path / "tokens.csv", [tmp_path / "figure.svg"], note="")
