"""Last lines of a run: the verdicts or the leaderboard, the page and the time."""

import pytest

from leap_suite.artifacts.files import write_json
from leap_suite.report.overview import closing_lines
from leap_suite.results.frame import write
from leap_suite.tables.context import Context
from leap_suite.tables.headline import headline
from leap_suite.tables.leaderboard import leaderboard_lines
from tests.unit.results.example import ran, results

ABOUT = "What these results can tell."
LAYER_WISE = {"mean": 1.3227, "standard_error": 0.4629, "p_value": 0.0043, "p_holm": 0.0086,
              "cells_better": 2}  # fmt: skip
OF_ALL = {"mean": -0.8551, "standard_error": 0.1763, "p_value": 1e-6, "p_holm": 3e-6,
          "cells_better": 0}  # fmt: skip
MIXED = "Mixed: 28 cells evaluated in bfloat16, 1 in float32."


def run(folder, mixed="", subject="leap", first=2):
    """A run's folder with three verdicts, the `first` of which are for the head of the page."""
    against = [
        {"name": name, "first": place < first,
         "accuracy": {**numbers, "cells": [{"baseline": b} for b in baselines]}}
        for place, (name, numbers, baselines) in enumerate((
            ("the best layer-wise baseline", LAYER_WISE, ["admm", "wanda", "admm"]),
            ("the best of all baselines", OF_ALL, ["elsa"] * 3),
            ("ADMM", LAYER_WISE, ["admm"] * 3),
        ))
    ]  # fmt: skip
    judged = {"subject": subject, "mixed": mixed, "against": against}
    write_json(folder / "tables/headline.json", judged)
    (folder / "report.html").touch()
    return folder


def lines(folder, generated=False):
    return closing_lines(folder, 62.4, ABOUT, generated)


@pytest.mark.parametrize(
    ("generated", "tasks", "accuracy"),
    [(False, "", "Accuracy"),
     (True, ", generated tasks for miniature models", "Mini-task accuracy")],
)  # fmt: skip
def test_verdicts_page_and_time(tmp_path, generated, tasks, accuracy):
    assert lines(run(tmp_path, MIXED), generated) == [
        f"LEAP vs. the best layer-wise baseline{tasks}: holds. "
        f"{accuracy} +1.32 ± 0.46 points, p = 0.004 (0.009 adjusted), better in 2 of 3 cells.",
        f"LEAP vs. the best of all baselines (ELSA in 3 of 3 cells){tasks}: contradicted. "
        f"{accuracy} -0.86 ± 0.18 points, p < 0.001, better in 0 of 3 cells.",
        MIXED,
        ABOUT,
        f"Verdicts, tables and figures: {tmp_path}/report.html",
        "This run took 1 min 2 s.",
    ]


def test_any_method_can_be_the_subject_and_without_first_verdicts_all_are_said(tmp_path):
    found = lines(run(tmp_path, subject="reconstruct", first=0))[:-3]
    assert [line.partition(":")[0] for line in found] == [
        "Reconstruction vs. the best layer-wise baseline",
        "Reconstruction vs. the best of all baselines (ELSA in 3 of 3 cells)",
        "Reconstruction vs. ADMM (ADMM in 3 of 3 cells)",
    ]


def test_a_grid_without_the_subject_has_a_leaderboard(tmp_path):
    found = results([ran("dense", 0.9), ran("wanda", 0.5), ran("admm", 0.7)])
    judged = headline(found, Context("test", against=["admm"]))
    (run(tmp_path) / "tables/headline.json").write_text(judged["json"])
    write(found, tmp_path / "results.parquet", tmp_path / "items.parquet")
    title, *rows = lines(tmp_path, generated=True)[:-3]
    assert title == "Leaderboard: generated tasks for miniature models"
    assert rows == leaderboard_lines(found)


@pytest.mark.parametrize("missing", ["tables/headline.json", "report.html"])
def test_there_are_no_lines_if_a_file_is_missing(tmp_path, missing):
    (run(tmp_path) / missing).unlink()
    assert lines(tmp_path) == []


def test_a_damaged_headline_is_named(tmp_path):
    headline = run(tmp_path) / "tables/headline.json"
    headline.write_text(headline.read_text()[:-9])
    assert f"{headline} is damaged" in lines(tmp_path)[0]
