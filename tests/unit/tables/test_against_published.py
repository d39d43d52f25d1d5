"""Verdicts on every number, by the stated rule."""

import csv
import math

import pytest

from suite.tables.against_published import MEASURES, compare, write_against_published
from suite.tables.evaluations import TASKS, Cell
from suite.tables.published import Published, read_published


def cell(method="leap", accuracy=50.0, perplexity=10.0, seed=0, model="m"):
    return Cell(model, method, "0.5", seed, 0.5, perplexity, 0.2, dict.fromkeys(TASKS, accuracy),
                dict.fromkeys(TASKS, 1.0), {}, {})  # fmt: skip


def published(method="leap", accuracy=50.0, perplexity=10.0):
    accuracies = dict.fromkeys(TASKS, accuracy)
    return Published("m", method, "0.5", perplexity, accuracies, accuracy, "a test")


def verdict(cells, rows, measure):
    (found,) = [row for row in compare(cells, rows) if row.measure == measure]
    return found


@pytest.mark.parametrize(("theirs", "expected"), [(47.3, "reproduced"), (47.0, "deviates")])
def test_accuracies_by_two_combined_standard_errors(theirs, expected):
    row = verdict([cell()], [published(accuracy=theirs)], "piqa")
    assert row.combined_stderr == pytest.approx(math.sqrt(2))
    assert row.difference == pytest.approx(50 - theirs)
    assert row.verdict == expected


def test_the_average_has_the_smaller_error_of_an_average():
    row = verdict([cell()], [published(accuracy=49.0)], "average")
    assert row.combined_stderr == pytest.approx(math.sqrt(2 / 6))
    assert row.verdict == "reproduced"
    assert verdict([cell()], [published(accuracy=48.5)], "average").verdict == "deviates"


@pytest.mark.parametrize(("theirs", "expected"), [(9.6, "reproduced"), (9.4, "deviates")])
def test_perplexities_by_five_percent(theirs, expected):
    assert verdict([cell()], [published(perplexity=theirs)], "ppl").verdict == expected


def test_seeds_are_averaged():
    row = verdict([cell(accuracy=40), cell(accuracy=60, seed=1)], [published()], "average")
    assert (row.ours, row.verdict) == (50, "reproduced")


def test_what_was_not_run_or_not_published_says_so():
    rows = compare([cell("thanos")], [published("admm")])
    assert {(row.method, row.verdict) for row in rows} == {
        ("thanos", "not published"), ("admm", "not run"),
    }  # fmt: skip
    assert len(rows) == 2 * len(MEASURES)
    without_tasks = Published("m", "leap", "0.5", 9.9, {}, 50.5, "a test")
    assert verdict([cell()], [without_tasks], "mmlu").verdict == "not published"
    assert verdict([cell()], [without_tasks], "average").verdict == "reproduced"


def test_the_real_table_against_itself_is_reproduced(tmp_path):
    cells = [
        Cell(row.model, row.method, row.sparsity, 0, float(row.sparsity), row.perplexity, 0.1,
             row.accuracy, dict.fromkeys(TASKS, 1.0), {}, {})
        for row in read_published()
        if row.accuracy
    ]  # fmt: skip
    rows = compare(cells, read_published())
    write_against_published(rows, tmp_path / "a.csv", tmp_path / "a.md")
    with open(tmp_path / "a.csv") as file:
        verdicts = [line["verdict"] for line in csv.DictReader(file)]
    # seven rows of the 8B model were not run; only two of their numbers each were published
    assert verdicts.count("reproduced") == 20 * len(MEASURES)
    assert verdicts.count("not run") == 7 * 2
    assert verdicts.count("not published") == 7 * 6
    page = (tmp_path / "a.md").read_text()
    assert "reproduced: 160, deviates: 0, not run: 14." in page
    assert "| llama-3.1-8b | 0.6 | LEAP | average | – | 54.47 | – | not run |" in page
