"""Baselines that bring a rule of their own: which they are, and what is in their recipes."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from suite.plan import methods

SCHEMA = """
$schema: https://json-schema.org/draft/2020-12/schema
title: Foreign
description: Is written in another language.
competes_in: layer; 2:4
changes_weights: false
paper: none
licence: none
stochastic: true
sparsity_pattern: {setting: budget, scope: all}
type: object
additionalProperties: false
required: [budget]
properties:
  budget: {description: Where weights compete., enum: [layer, "2:4"]}
"""
FILES = {"rule.smk": "rule foreign:\n", "schema.yaml": SCHEMA, "lib/prune.R": "x <- 1\n"}
PROGRAM = """
import json
from suite.plan.cell import Cell
from suite.plan.config import load
from suite.plan.grid import cells
from suite.plan.recipe import Recipes

METHODS = {"foreign": {"budget": "layer"}, "foreign-2-4": {"like": "foreign", "budget": "2:4"}}
MODEL = "mini-llama-3.2-1b"
grid = {"models": [MODEL], "methods": ["wanda", *METHODS], "seeds": [0, 1]}
settings = load({"scale": "smoke", "hub_mirror": "", "methods": METHODS, "grid": grid})
known = Recipes(settings)
print(json.dumps({cell.path: known.masks(cell) for cell in cells(settings) if cell.target}))
"""
PLAIN, VARIANT = "mini-llama-3.2-1b/foreign/0.5", "mini-llama-3.2-1b/foreign-2-4/0.5"
OTHER = "mini-llama-3.2-1b/wanda/0.5"


def write(place: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).write_text(text)


@pytest.fixture(scope="module")
def planned(tmp_path_factory, copy_suite) -> Callable[[dict[str, str]], dict[str, Any]]:
    """Recipes of masks in a copy of the suite whose method `foreign` has these further files."""
    copy = copy_suite(tmp_path_factory.mktemp("own_rules") / "suite")
    write(copy / "baselines/foreign", FILES)

    def recipes(files: dict[str, str]) -> dict[str, Any]:
        write(copy / "baselines/foreign", files)
        process = subprocess.run(
            [sys.executable, "-c", PROGRAM], cwd=copy, capture_output=True, text=True,
            env={**os.environ, "PYTHONPATH": f"{copy}:{copy}/workflow"},
        )  # fmt: skip
        write(copy / "baselines/foreign", FILES)
        assert process.returncode == 0, process.stderr[-3000:]
        return json.loads(process.stdout)

    return recipes


@pytest.fixture(scope="module")
def untouched(planned) -> dict[str, Any]:
    return planned({})


def test_a_rule_makes_a_folder_a_method_of_its_own_kind_and_a_package_stays_a_module(
    tmp_path, monkeypatch
):
    write(tmp_path / "foreign", FILES)
    write(tmp_path / "package", {"schema.yaml": SCHEMA, "__init__.py": ""})
    write(tmp_path, {"module.py": ""})
    monkeypatch.setattr(methods, "FOLDERS", tmp_path)
    assert methods.rule_folders() == {"foreign": tmp_path / "foreign"}


def test_the_recipe_holds_settings_calibration_and_seed(untouched):
    plain, second = untouched[PLAIN], untouched[f"{PLAIN}/seed-1"]
    assert plain["implementation"] == "foreign" and plain["method"] == {"budget": "layer"}
    assert plain["calibration"]["sequences"] == 16 and plain["model"]["dtype"] == "float32"
    assert (plain["seed"], second["seed"]) == (0, 1)
    assert {**plain, "seed": 1} == second


def test_a_variant_is_made_by_the_same_rule_under_its_own_settings(untouched):
    plain, variant = untouched[PLAIN], untouched[VARIANT]
    assert variant["implementation"] == "foreign" and variant["code"] == plain["code"]
    assert (plain["pattern"], variant["pattern"]) == ("", "2:4")
    assert variant["method"] == {"budget": "2:4"}


@pytest.mark.parametrize("file", FILES)
def test_every_file_of_the_folder_is_its_fingerprint_and_no_other_methods(file, planned, untouched):
    edited = planned({file: FILES[file] + "# edited\n"})
    assert edited[PLAIN]["code"] != untouched[PLAIN]["code"]
    assert {**edited[PLAIN], "code": ""} == {**untouched[PLAIN], "code": ""}
    assert edited[OTHER] == untouched[OTHER]


def test_compiled_python_is_no_part_of_it(planned, untouched):
    assert planned({"lib/__pycache__/prune.cpython-311.pyc": "compiled"}) == untouched
