"""A run whose cells were not computed alike: its table says so, and a strict run refuses it."""

import shutil
from pathlib import Path

import pytest

from suite.artifacts.files import read_json, write_json

pytestmark = pytest.mark.heavy

TABLE = "results/claim/tables/main.csv"
# methods whose code has not changed since they were measured
GRID = "grid={methods: [magnitude, wanda, admm, leap]}"
RULES = ("collect", "table_main", "table_verdict", "table_headline")
FILES = (TABLE, "results/claim/tables/verdict.md", "results/claim/tables/headline.json")
SETTINGS = (*FILES, "--allowed-rules", *RULES, "--config", "scale=claim", GRID)
CELL = "smollm2-135m/wanda/0.5"


@pytest.fixture(scope="module")
def claim(tmp_path_factory, copy_suite) -> Path:
    """A copy of the suite with the tracked cells of the claim, one of them as of another CPU."""
    copy = copy_suite(tmp_path_factory.mktemp("mixed") / "suite")
    for part in ("evaluations", "items", "hardened"):
        shutil.copytree(copy / "results/examples/claim" / part, copy / "results/claim" / part)
    file = copy / f"results/claim/evaluations/{CELL}.json"
    evaluation = read_json(file)
    evaluation["provenance"]["dtype"] = "float32"
    write_json(file, evaluation)
    return copy


def test_a_strict_run_refuses_a_table_that_mixes(claim, snakemake):
    strict = snakemake(claim, *SETTINGS, "strict=true")
    assert strict.returncode != 0
    assert "in bfloat16, 1 in float32" in strict.stderr and CELL in strict.stderr
    assert "Traceback" not in strict.stderr and not (claim / TABLE).exists()


def test_any_other_run_says_so_and_being_strict_makes_nothing_again(claim, snakemake):
    process = snakemake(claim, *SETTINGS)
    assert process.returncode == 0, process.stderr[-3000:]
    folder = (claim / TABLE).parent
    line = (folder / "main.md").read_text().splitlines()[-1]
    assert line.startswith("Mixed: ") and line.endswith(
        "cells evaluated in bfloat16, 1 in float32."
    )
    assert line in (folder / "verdict.md").read_text()
    assert read_json(folder / "headline.json")["mixed"] == line
    again = snakemake(claim, *SETTINGS, "strict=true")
    assert "Nothing to be done" in again.stdout + again.stderr
