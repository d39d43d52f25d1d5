"""A run against its tracked example: equal, within the tolerance, and each way to differ."""

import os
import subprocess
import sys

import pandas as pd
import pytest

from leap_suite.report.check import POINTS, RATIO, differences, problems, read
from leap_suite.report.examples import EXAMPLES
from tests.conftest import ROOT

EXAMPLE = EXAMPLES / "mini/main.csv"
CELL = "mini-gemma-3-1b/leap/0.6"


@pytest.fixture
def expected() -> pd.DataFrame:
    return read(EXAMPLE, "")


def changed(expected, column, change):
    """The example with another value in one cell."""
    found = expected.copy()
    found.loc[CELL, column] = change(found.loc[CELL, column])
    return found


def test_the_example_is_as_expected(expected):
    assert len(expected) == 125 and CELL in expected.index
    assert problems(expected, expected) == []


@pytest.mark.parametrize("sign", [-1, 1])
@pytest.mark.parametrize("part", [0.99, 1.01])
def test_a_value_is_as_expected_within_the_tolerance(expected, sign, part):
    accuracy = changed(expected, "average", lambda value: value + sign * part * POINTS)
    ppl = changed(expected, "ppl", lambda value: value * RATIO ** (sign * part))
    for found in (accuracy, ppl):
        assert [line.split(":")[0] for line in problems(found, expected)] == [CELL] * (part > 1)
        first = differences(found, expected).iloc[0]
        assert first.name == CELL and first["share"] == pytest.approx(part)


def test_the_tolerance_is_the_documented_one():
    text = " ".join((ROOT / "docs/running.md").read_text(encoding="utf-8").split())
    assert f"more than {POINTS} points of accuracy or {RATIO - 1:.0%} of" in text.replace(" %", "%")


def test_missing_and_additional_cells_are_named(expected):
    found = expected.rename(index={CELL: "other/leap/0.6"})
    assert problems(found, expected) == [f"{CELL}: missing", "other/leap/0.6: not in the example"]


def without_a_cell(text):
    return "".join(line for line in text.splitlines(True) if "gemma-3-1b,leap,leap,0.6" not in line)


def with_another_value(text):
    table = pd.read_csv(EXAMPLE)
    row = (table[["model", "method", "sparsity"]] == ["mini-gemma-3-1b", "leap", 0.6]).all(axis=1)
    table.loc[row, "average"] += 2 * POINTS
    return table.to_csv(index=False)


def run_check(place, text, run="mini"):
    """Exit status and last lines of the command, in a folder with this table."""
    table = place / "results" / run / "tables/main.csv"
    table.parent.mkdir(parents=True)
    table.write_text(text, encoding="utf-8")
    return command(place, run)


def command(place, run):
    paths = os.pathsep.join([str(ROOT), str(ROOT / "workflow")])
    done = subprocess.run(
        [sys.executable, "-m", "leap_suite.report.check", run],
        cwd=place, env={**os.environ, "PYTHONPATH": paths}, capture_output=True, text=True,
    )  # fmt: skip
    return done.returncode, done.stdout, done.stderr


def test_the_command_prints_the_largest_differences_and_that_all_is_as_expected(tmp_path):
    status, printed, errors = run_check(tmp_path, EXAMPLE.read_text(encoding="utf-8"))
    assert (status, errors) == (0, "")
    assert printed.splitlines()[-1] == "as expected"
    assert "125 cells" in printed and "largest differences" in printed


@pytest.mark.parametrize(
    ("edit", "named"),
    [(without_a_cell, f"{CELL}: missing"), (with_another_value, f"{CELL}: accuracy")],
)
def test_the_command_names_the_cells_that_are_not_as_expected(tmp_path, edit, named):
    status, printed, errors = run_check(tmp_path, edit(EXAMPLE.read_text(encoding="utf-8")))
    assert status == 1 and "as expected" not in printed
    first, line = errors.splitlines()
    assert first == "not as expected, 1 cell:" and line.startswith(named)
    if edit is with_another_value:
        (_, row, *_) = printed[printed.index("largest") :].splitlines()
        assert row.startswith(CELL)


def cut_in_half(text):
    return text[: len(text) // 2]


def without_its_last_fields(text):
    return text.rstrip("\n").rsplit(",", 30)[0] + "\n"


def without_a_column(text):
    return text.replace(",ppl,", ",other,", 1)


def with_a_word_for_a_number(text):
    return text.replace(",86.3,", ",many,", 1)


def with_a_line_twice(text):
    return text + text.splitlines(True)[-1]


def empty(text):
    return ""


@pytest.mark.parametrize(
    "damage",
    [cut_in_half, without_its_last_fields, without_a_column, with_a_word_for_a_number,
     with_a_line_twice, empty],
)  # fmt: skip
def test_a_damaged_table_is_refused_in_one_line(tmp_path, damage):
    status, printed, errors = run_check(tmp_path, damage(EXAMPLE.read_text(encoding="utf-8")))
    assert (status, printed, len(errors.splitlines())) == (1, "", 1)
    assert errors.startswith("results/mini/tables/main.csv is damaged (")
    assert errors.rstrip().endswith("delete it and run snakemake --cores all --config scale=mini")


def test_an_absent_run_and_one_of_another_scale_are_refused_in_one_line(tmp_path):
    status, _, errors = command(tmp_path, "mini")
    finish = "run snakemake --cores all --config scale=mini\n"
    assert (status, errors) == (1, f"there is no results/mini/tables/main.csv: {finish}")
    status, _, errors = command(tmp_path, "smoke")
    assert status == 1 and len(errors.splitlines()) == 1
    assert errors.startswith("there is no tracked example of smoke: choose one of claim, mini")
    other = (EXAMPLES / "claim/main.csv").read_text(encoding="utf-8")
    status, _, errors = run_check(tmp_path, other)
    assert status == 1 and len(errors.splitlines()) == 1
    assert "so it is of another scale" in errors


def test_it_runs_without_torch():
    shown = "import sys, leap_suite.report.check; print('torch' in sys.modules)"
    paths = os.pathsep.join([str(ROOT), str(ROOT / "workflow")])
    done = subprocess.run(
        [sys.executable, "-c", shown], env={**os.environ, "PYTHONPATH": paths},
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.stdout == "False\n", done.stderr
