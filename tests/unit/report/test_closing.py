"""The last lines of a run: the verdict, what it is worth, the page and the time."""

import pytest

from suite.artifacts.files import read_json, write_json
from suite.report.closing import closing_lines
from suite.tables.headline import ENTRIES

ABOUT = "What these results can tell."
BASELINES = ("admm", "wanda", "admm")
ENTRY = {"mean": 1.3227, "standard_error": 0.4629, "p_value": 0.0043, "cells_better": 2,
         "cells": [{"baseline": name} for name in BASELINES]}  # fmt: skip
OF_ALL = {"mean": -0.8551, "standard_error": 0.1763, "p_value": 1e-6, "cells_better": 0,
          "cells": [{"baseline": "elsa"}] * 3}  # fmt: skip


def run(folder, entry, of_all=None):
    """A run's folder with entries of the best layer-wise baseline and the best of all baselines."""
    accuracy = dict.fromkeys(ENTRIES) | dict(zip(ENTRIES, (entry, of_all), strict=False))
    (folder / "tables").mkdir()
    write_json(folder / "tables/headline.json", {"average_accuracy": accuracy})
    (folder / "report.html").touch()
    return folder


def lines(folder, seconds=62.4, generated=False):
    return closing_lines(folder, seconds, ABOUT, generated)


def test_verdict_page_and_time(tmp_path):
    assert lines(run(tmp_path, ENTRY)) == [
        "LEAP vs. the best layer-wise baseline: holds. "
        "Accuracy +1.32 ± 0.46 points, p = 0.004, better in 2 of 3 cells.",
        ABOUT,
        f"Verdicts, tables and figures: {tmp_path}/report.html",
        "This run took 1 min 2 s.",
    ]


def test_where_results_mix_it_says_so(tmp_path):
    headline = run(tmp_path, ENTRY) / "tables/headline.json"
    whole = lines(tmp_path)
    for mixed in ("", "Mixed: 28 cells evaluated in bfloat16, 1 in float32."):
        write_json(headline, {**read_json(headline), "mixed": mixed})
        assert lines(tmp_path) == [whole[0], *filter(None, [mixed]), *whole[1:]]


def test_a_verdict_against_the_best_of_all_baselines_stands_beside_the_first(tmp_path):
    first, second, *others = lines(run(tmp_path, ENTRY, OF_ALL))
    assert first.startswith("LEAP vs. the best layer-wise baseline: holds. Accuracy +1.32 ")
    assert second == (
        "LEAP vs. the best of all baselines (ELSA in 3 of 3 cells): contradicted. "
        "Accuracy -0.86 ± 0.18 points, p < 0.001, better in 0 of 3 cells."
    )
    assert len(others) == 3


def test_what_was_not_run_leaves_its_line_to_the_other(tmp_path):
    found, *others = lines(run(tmp_path, None, OF_ALL))
    assert found.startswith("LEAP vs. the best of all baselines (ELSA in 3 of 3 cells): ")
    assert len(others) == 3


def test_of_generated_tasks_it_says_that_models_and_tasks_are_miniatures(tmp_path):
    assert lines(run(tmp_path, ENTRY, OF_ALL), generated=True)[:2] == [
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
    assert f"baseline: {claim}Accuracy " in lines(run(tmp_path, ENTRY | change))[0]


def test_a_grid_without_leap_has_no_verdict(tmp_path):
    found, *others = lines(run(tmp_path, None))
    assert found == "LEAP vs. the best layer-wise baseline: not run."
    assert len(others) == 3


@pytest.mark.parametrize("missing", ["tables/headline.json", "report.html"])
def test_nothing_is_said_where_a_file_is_missing(tmp_path, missing):
    run(tmp_path, ENTRY)
    (tmp_path / missing).unlink()
    assert lines(tmp_path) == []


def test_a_damaged_headline_is_named(tmp_path):
    headline = run(tmp_path, ENTRY) / "tables/headline.json"
    headline.write_text(headline.read_text()[:-9])
    found, *others = lines(tmp_path)
    assert f"{headline} is damaged" in found and len(others) == 3


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.4, "0 s"), (59.6, "1 min 0 s"), (3599, "59 min 59 s"), (100_000, "27 h 46 min")],
)
def test_durations(tmp_path, seconds, text):
    assert lines(run(tmp_path, ENTRY), seconds)[-1] == f"This run took {text}."
