"""The last lines of a run: the verdicts or the leaderboard, the page and the time."""

import re

import pytest

from suite.artifacts.files import write_json
from suite.report.closing import closing_lines
from suite.results.frame import Results, write
from suite.tables.headline import headline
from suite.tables.told import Told
from tests.unit.made import Made, collected, made

ABOUT = "What these results can tell."
ENTRY = {"mean": 1.3227, "standard_error": 0.4629, "p_value": 0.0043, "cells_better": 2}
OF_ALL = {"mean": -0.8551, "standard_error": 0.1763, "p_value": 1e-6, "cells_better": 0}
RIGHT = {"dense": 90, "magnitude": 30, "wanda": 50, "admm": 70, "reconstruct": 80, "elsa": 75,
         "leap": 65, "random-mask": 20}  # fmt: skip


def run(folder, *, first=ENTRY, of_all=OF_ALL, mixed=""):
    """A run's folder, with numbers of the first verdicts."""
    names = ("the best layer-wise baseline", "the best of all baselines", "ADMM")
    baselines = (["admm", "wanda", "admm"], ["elsa"] * 3, ["admm"] * 3)
    against = [
        {"name": name, "first": name != "ADMM",
         "accuracy": {**numbers, "cells": [{"baseline": b} for b in of]}}
        for name, numbers, of in zip(names, (first, of_all, ENTRY), baselines, strict=True)
    ]  # fmt: skip
    judged = {"subject": "leap", "mixed": mixed, "against": against}
    write_json(folder / "tables/headline.json", judged)
    (folder / "report.html").touch()
    return folder


def lines(folder, seconds=62.4, generated=False):
    return closing_lines(folder, seconds, ABOUT, generated)


def test_verdicts_page_and_time(tmp_path):
    assert lines(run(tmp_path)) == [
        "LEAP vs. the best layer-wise baseline: holds. "
        "Accuracy +1.32 ± 0.46 points, p = 0.004, better in 2 of 3 cells.",
        "LEAP vs. the best of all baselines (ELSA in 3 of 3 cells): contradicted. "
        "Accuracy -0.86 ± 0.18 points, p < 0.001, better in 0 of 3 cells.",
        ABOUT,
        f"Verdicts, tables and figures: {tmp_path}/report.html",
        "This run took 1 min 2 s.",
    ]


def test_where_results_mix_it_says_so(tmp_path):
    whole = lines(run(tmp_path))
    mixed = "Mixed: 28 cells evaluated in bfloat16, 1 in float32."
    assert lines(run(tmp_path, mixed=mixed)) == [*whole[:2], mixed, *whole[2:]]


def test_of_generated_tasks_it_says_that_models_and_tasks_are_miniatures(tmp_path):
    assert lines(run(tmp_path), generated=True)[:2] == [
        "LEAP vs. the best layer-wise baseline, generated tasks for miniature models: holds. "
        "Mini-task accuracy +1.32 ± 0.46 points, p = 0.004, better in 2 of 3 cells.",
        "LEAP vs. the best of all baselines (ELSA in 3 of 3 cells), generated tasks for miniature "
        "models: contradicted. "
        "Mini-task accuracy -0.86 ± 0.18 points, p < 0.001, better in 0 of 3 cells.",
    ]


@pytest.mark.parametrize(
    ("change", "claim"),
    [
        ({"p_value": 0.2}, "not shown: better, but within chance. "),
        ({"mean": -2.0, "p_value": 0.0001}, "contradicted. "),
    ],
)
def test_the_claim_is_worded_as_in_the_verdict(tmp_path, change, claim):
    assert f"baseline: {claim}Accuracy " in lines(run(tmp_path, first=ENTRY | change))[0]


def results_of(folder, methods):
    """Two models' results on a hundred items of a task."""
    files: Made = {}
    for model in ("m", "n"):
        for method in methods:
            right = RIGHT[method]
            answers = {"piqa": [1] * right + [0] * (100 - right)}
            files |= made(folder / "cells", model, method, answers=answers)
    return collected(files)


def closed(folder, results: Results, generated=False, **told):
    """The lines, without the last three, of a run whose tables are written by the suite."""
    tables = folder / "tables"
    tables.mkdir()
    asked = Told("test", about=ABOUT, **told)
    (tables / "headline.json").write_text(headline(results, asked)["json"])
    write(results, folder / "results.parquet", folder / "items.parquet")
    (folder / "report.html").touch()
    return lines(folder, generated=generated)[:-3]


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        (
            {"subject": "wanda", "kindred": ["magnitude", "admm"],
             "opponents": ["magnitude", "admm", "elsa"], "against": ["magnitude"]},
            ["Wanda vs. the best layer-wise baseline (ADMM in 2 of 2 cells): contradicted. "
             "Accuracy -20.00 ±",
             "Wanda vs. the best of all baselines (ELSA in 2 of 2 cells): contradicted. "
             "Accuracy -25.00 ±"],
        ),
        (
            {"subject": "reconstruct", "kind": "retraining", "kindred": ["elsa"],
             "opponents": ["magnitude", "wanda", "admm", "elsa"]},
            ["Reconstruction vs. the best retraining baseline (ELSA in 2 of 2 cells): holds. "
             "Accuracy +5.00 ±",
             "Reconstruction vs. the best of all baselines (ELSA in 2 of 2 cells): holds. "
             "Accuracy +5.00 ±"],
        ),
        # none of its kind is in the grid
        (
            {"subject": "wanda", "opponents": ["elsa"]},
            ["Wanda vs. the best of all baselines (ELSA in 2 of 2 cells): contradicted. "
             "Accuracy -25.00 ±"],
        ),
        # nor any opponent, but one by name
        (
            {"subject": "elsa", "kind": "retraining", "against": ["random-mask"]},
            ["ELSA vs. Random mask (Random mask in 2 of 2 cells): holds. Accuracy +55.00 ±"],
        ),
    ],
)  # fmt: skip
def test_any_method_can_be_the_subject(tmp_path, told, expected):
    results = results_of(tmp_path, [method for method in RIGHT if method != "leap"])
    found = closed(tmp_path, results, **told)
    assert [line.partition("±")[0] + "±" for line in found] == expected
    assert "LEAP" not in " ".join(found)


@pytest.mark.parametrize("published", [False, True])
@pytest.mark.parametrize("generated", [False, True])
def test_a_grid_without_the_subject_has_a_leaderboard(tmp_path, generated, published):
    methods = ["wanda", "admm"]
    results = results_of(tmp_path, ["dense", "random-mask", *methods])
    told = {"kindred": methods, "opponents": methods, "against": ["admm"], "published": published}
    title, head, rule, *rows = closed(tmp_path, results, generated, **told)
    assert title == "Leaderboard" + ": generated tasks for miniature models" * generated
    assert head.startswith("| # | Method | Accuracy |") and set(rule) <= set("| -:")
    assert [re.findall(r"[^| ]+", row)[:3] for row in rows] == [
        ["1", "ADMM", "70.00"], ["2", "Wanda", "50.00"],
    ]  # fmt: skip


@pytest.mark.parametrize("missing", ["tables/headline.json", "report.html"])
def test_nothing_is_said_where_a_file_is_missing(tmp_path, missing):
    run(tmp_path)
    (tmp_path / missing).unlink()
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
