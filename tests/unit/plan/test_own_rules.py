"""Baselines with a rule of their own: how they are recognised, and their recipes."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from suite.plan import code, methods
from suite.plan.grid import cells
from suite.plan.recipe import Recipes
from tests.unit.recipes import forget_schemas, loaded

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
METHODS = {"foreign": {"budget": "layer"}, "foreign-2-4": {"like": "foreign", "budget": "2:4"}}
MODEL = "mini-llama-3.2-1b"
PLAIN, VARIANT, OTHER = (f"{MODEL}/{name}/0.5" for name in ("foreign", "foreign-2-4", "wanda"))

Planned = Callable[[dict[str, str]], dict[str, Any]]


def write(place: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).write_text(text)


@pytest.fixture
def planned(tmp_path, monkeypatch) -> Iterator[Planned]:
    """Recipes of masks where the folder of the method `foreign` has these further files."""
    monkeypatch.setattr(methods, "FOLDERS", tmp_path)

    def recipes(files: dict[str, str]) -> dict[str, Any]:
        write(tmp_path / "foreign", {**FILES, **files})
        forget_schemas()
        code._fingerprint.cache_clear()
        grid = {"models": [MODEL], "methods": ["wanda", *METHODS], "seeds": [0, 1]}
        settings = loaded(scale="smoke", methods=METHODS, grid=grid)
        known = Recipes(settings)
        return {cell.path: known.masks(cell) for cell in cells(settings) if cell.target}

    yield recipes
    monkeypatch.undo()
    forget_schemas()


def test_a_folder_with_a_rule_is_a_method_and_a_package_stays_a_module(tmp_path, monkeypatch):
    write(tmp_path / "foreign", FILES)
    write(tmp_path / "package", {"schema.yaml": SCHEMA, "__init__.py": ""})
    monkeypatch.setattr(methods, "FOLDERS", tmp_path)
    assert methods.rule_folders() == {"foreign": tmp_path / "foreign"}


def test_recipes_hold_settings_calibration_seed_and_pattern(planned):
    found = planned({})
    plain, second, variant = found[PLAIN], found[f"{PLAIN}/seed-1"], found[VARIANT]
    assert plain["implementation"] == "foreign" and plain["method"] == {"budget": "layer"}
    assert plain["calibration"]["sequences"] == 16 and plain["model"]["dtype"] == "float32"
    assert {**plain, "seed": 1} == second != plain
    assert variant["implementation"] == "foreign" and variant["code"] == plain["code"]
    assert (plain["pattern"], variant["pattern"]) == ("", "2:4")
    assert variant["method"] == {"budget": "2:4"}


def test_the_fingerprint_covers_every_file_of_the_folder_but_compiled_ones(planned):
    untouched = planned({})
    assert planned({"lib/__pycache__/prune.cpython-311.pyc": "compiled"}) == untouched
    for file, text in FILES.items():
        edited = planned({file: text + "# edited\n"})
        assert edited[PLAIN]["code"] != untouched[PLAIN]["code"], file
        assert {**edited[PLAIN], "code": ""} == {**untouched[PLAIN], "code": ""}
        assert edited[OTHER] == untouched[OTHER]
