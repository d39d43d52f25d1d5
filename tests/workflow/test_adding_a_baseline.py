"""CONTRIBUTING's example of a new baseline, followed to the letter in a copy of the suite."""

import csv
import re
import shutil
from pathlib import Path

import pytest

from tests.workflow.documented import add_documented

pytestmark = pytest.mark.heavy

NEW = {"baselines/random_pruning.py", "workflow/schemas/methods/random_pruning.schema.yaml"}


@pytest.fixture(scope="module")
def extended(tmp_path_factory, smoke_run, snakemake) -> Path:
    place = tmp_path_factory.mktemp("baseline") / "suite"
    copy = Path(shutil.copytree(smoke_run, place, symlinks=True))
    with open(copy / "config.yaml", "a") as file:
        file.write(add_documented(copy, "Add a baseline", NEW))
    process = snakemake(copy, "--config", "scale=smoke")
    assert process.returncode == 0, process.stderr[-5000:]
    return copy


def test_the_new_baseline_has_its_rows(extended):
    with open(extended / "results/smoke/tables/main.csv") as file:
        rows = {(row["model"], row["method"], row["seed"]): row for row in csv.DictReader(file)}
    for model in ("mini-qwen-2.5-0.5b", "mini-llama-3.2-1b"):
        magnitude = rows[model, "magnitude", "0"]
        first, second = (rows[model, "random_pruning", seed] for seed in "01")
        assert first["achieved_sparsity"] == magnitude["achieved_sparsity"]
        assert float(first["ppl"]) > float(magnitude["ppl"])
        assert first["ppl"] != second["ppl"]
    assert "| Random pruning |" in (extended / "results/smoke/tables/main.md").read_text()


def test_it_runs_again_when_it_is_edited(extended, snakemake):
    module = extended / "baselines/random_pruning.py"
    module.write_text(module.read_text() + "\n\nEDITED = True\n")
    process = snakemake(extended, "--dry-run", "--config", "scale=smoke")
    assert re.search(r"^prune +4$", process.stdout, flags=re.M), process.stdout[-2000:]
