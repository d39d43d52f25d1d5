"""Last lines of a run: the verdicts or the leaderboard, the page and the time."""

import re

import pytest

from suite.artifacts.files import write_json
from suite.report.closing import closing_lines
from suite.results.frame import write
from suite.tables.headline import headline
from suite.tables.told import Told
from tests.unit.made import Made, collected, made

ABOUT = "What these results can tell."
LAYER_WISE = {"mean": 1.3227, "standard_error": 0.4629, "p_value": 0.0043, "cells_better": 2}
OF_ALL = {"mean": -0.8551, "standard_error": 0.1763, "p_value": 1e-6, "cells_better": 0}
RIGHT = {"dense": 90, "random-mask": 20, "wanda": 50, "admm": 70, "elsa": 75}
MIXED = "Mixed: 28 cells evaluated in bfloat16, 1 in float32."


def run(folder, mixed=""):
    """A run's folder with three verdicts, of which two are first."""
    against = [
        {"name": name, "first": name != "ADMM",
         "accuracy": {**numbers, "cells": [{"baseline": b} for b in baselines]}}
        for name, numbers, baselines in (
            ("the best layer-wise baseline", LAYER_WISE, ["admm", "wanda", "admm"]),
            ("the best of all baselines", OF_ALL, ["elsa"] * 3),
            ("ADMM", LAYER_WISE, ["admm"] * 3),
        )
    ]  # fmt: skip
    judged = {"subject": "leap", "mixed": mixed, "against": against}
    write_json(folder / "tables/headline.json", judged)
    (folder / "report.html").touch()
    return folder


def lines(folder, seconds=62.4, generated=False):
    return closing_lines(folder, seconds, ABOUT, generated)


@pytest.mark.parametrize(
    ("generated", "tasks", "accuracy"),
    [(False, "", "Accuracy"),
     (True, ", generated tasks for miniature models", "Mini-task accuracy")],
)  # fmt: skip
@pytest.mark.parametrize("mixed", ["", MIXED])
def test_verdicts_page_and_time(tmp_path, mixed, generated, tasks, accuracy):
    assert lines(run(tmp_path, mixed), generated=generated) == [
        f"LEAP vs. the best layer-wise baseline{tasks}: holds. "
        f"{accuracy} +1.32 ± 0.46 points, p = 0.004, better in 2 of 3 cells.",
        f"LEAP vs. the best of all baselines (ELSA in 3 of 3 cells){tasks}: contradicted. "
        f"{accuracy} -0.86 ± 0.18 points, p < 0.001, better in 0 of 3 cells.",
        *([mixed] if mixed else []),
        ABOUT,
        f"Verdicts, tables and figures: {tmp_path}/report.html",
        "This run took 1 min 2 s.",
    ]


def closed(folder, generated=False, **told):
    """The lines, without the last three, of a run whose tables are written by the suite."""
    files: Made = {}
    for model in ("m", "n"):
        for method, right in RIGHT.items():
            answers = {"piqa": [1] * right + [0] * (100 - right)}
            files |= made(folder / "cells", model, method, answers=answers)
    results = collected(files)
    (folder / "tables").mkdir()
    judged = headline(results, Told("test", about=ABOUT, **told))
    (folder / "tables/headline.json").write_text(judged["json"])
    write(results, folder / "results.parquet", folder / "items.parquet")
    (folder / "report.html").touch()
    return lines(folder, generated=generated)[:-3]


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        (
            {"subject": "wanda", "kindred": ["admm"], "opponents": ["admm", "elsa"],
             "against": ["admm"]},
            ["Wanda vs. the best layer-wise baseline (ADMM in 2 of 2 cells): contradicted. "
             "Accuracy -20.00 ±",
             "Wanda vs. the best of all baselines (ELSA in 2 of 2 cells): contradicted. "
             "Accuracy -25.00 ±"],
        ),
        # no opponent but one by name
        (
            {"subject": "elsa", "kind": "retraining", "against": ["random-mask"]},
            ["ELSA vs. Random mask (Random mask in 2 of 2 cells): holds. Accuracy +55.00 ±"],
        ),
    ],
)  # fmt: skip
def test_any_method_can_be_the_subject(tmp_path, told, expected):
    assert [line.partition("±")[0] + "±" for line in closed(tmp_path, **told)] == expected


@pytest.mark.parametrize("generated", [False, True])
def test_a_grid_without_the_subject_has_a_leaderboard(tmp_path, generated):
    title, head, rule, *rows = closed(tmp_path, generated, against=["admm"])
    assert title == "Leaderboard" + ": generated tasks for miniature models" * generated
    assert head.startswith("| # | Method | Accuracy |") and set(rule) <= set("| -:")
    assert [re.findall(r"[^| ]+", row)[:3] for row in rows] == [
        ["1", "ELSA", "75.00"], ["2", "ADMM", "70.00"], ["3", "Wanda", "50.00"],
    ]  # fmt: skip


@pytest.mark.parametrize("missing", ["tables/headline.json", "report.html"])
def test_there_are_no_lines_if_a_file_is_missing(tmp_path, missing):
    (run(tmp_path) / missing).unlink()
    assert lines(tmp_path) == []


def test_a_damaged_headline_is_named(tmp_path):
    headline = run(tmp_path) / "tables/headline.json"
    headline.write_text(headline.read_text()[:-9])
    found, *others = lines(tmp_path)
    assert f"{headline} is damaged" in found and len(others) == 3


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.4, "0 s"), (59.6, "1 min 0 s"), (3599, "59 min 59 s"), (100_000, "27 h 46 min")],
)
def test_durations(tmp_path, seconds, text):
    assert lines(run(tmp_path), seconds)[-1] == f"This run took {text}."
