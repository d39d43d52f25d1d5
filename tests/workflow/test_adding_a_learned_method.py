"""CONTRIBUTING's example of a new learned method, followed to the letter in a copy of the suite."""

import csv
import json
import re
import shutil
from pathlib import Path

import pytest

from suite.artifacts.tensors import load_masks
from tests.workflow.documented import add_documented

pytestmark = pytest.mark.heavy

NEW = {
    "leap/parameterisations/leap_rows.py",
    "leap/selection/leap_rows.py",
    "workflow/schemas/methods/leap_rows.schema.yaml",
}
CELL = "mini-llama-3.2-1b/leap_rows/0.5"


@pytest.fixture(scope="module")
def extended(tmp_path_factory, smoke_run, snakemake) -> Path:
    place = tmp_path_factory.mktemp("learned") / "suite"
    copy = Path(shutil.copytree(smoke_run, place, symlinks=True))
    with open(copy / "config.yaml", "a") as file:
        file.write(add_documented(copy, "Add a learned method", NEW))
    process = snakemake(copy, "--config", "scale=smoke")
    assert process.returncode == 0, process.stderr[-5000:]
    return copy


def test_the_new_method_has_its_row(extended):
    with open(extended / "results/smoke/tables/main.csv") as file:
        rows = {row["method"]: row for row in csv.DictReader(file)}
    assert set(rows) == {"dense", "magnitude", "leap_rows"}
    assert rows["leap_rows"]["achieved_sparsity"] == rows["magnitude"]["achieved_sparsity"]
    assert float(rows["leap_rows"]["ppl"]) > float(rows["dense"]["ppl"])


def test_its_masks_are_rows_and_their_count_is_exact(extended):
    folder = extended / f"results/smoke/hardened/{CELL}"
    masks = load_masks(folder / "mask.safetensors")
    in_part = [row for mask in masks.values() for row in mask if row.any() and not row.all()]
    assert len(in_part) <= 1
    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest["selection"]["rule"] == "exact"
    assert manifest["achieved_sparsity"] == pytest.approx(0.5, abs=1e-5)
    assert len({round(density, 3) for density in manifest["layer_sparsity"].values()}) > 1


def test_it_runs_again_when_it_is_edited(extended, snakemake):
    module = extended / "leap/parameterisations/leap_rows.py"
    module.write_text(module.read_text() + "\n\nEDITED = True\n")
    process = snakemake(extended, "--dry-run", "--config", "scale=smoke")
    assert re.search(r"^train +1$", process.stdout, flags=re.M), process.stdout[-2000:]
