"""Recipes of a baseline with a rule of its own; `tests/workflow/test_additions.py` runs one."""

import pytest

from leap_suite.plan import code, methods
from leap_suite.plan.cell import Cell
from leap_suite.plan.recipe import Recipes
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
METHODS = {"foreign": {"budget": "layer"}, "foreign-2-4": {"like": "foreign", "budget": "2:4"}}
MODEL = "mini-llama-3.2-1b"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The folder of the only method with a rule."""
    (tmp_path / "foreign/__pycache__").mkdir(parents=True)
    (tmp_path / "foreign/rule.smk").write_text("rule foreign:\n")
    (tmp_path / "foreign/schema.yaml").write_text(SCHEMA)
    monkeypatch.setattr(methods, "FOLDERS", tmp_path)
    forget_schemas()
    yield tmp_path / "foreign"
    monkeypatch.undo()
    forget_schemas()


def masks(method: str = "foreign", seed: int = 0) -> dict:
    code._fingerprint.cache_clear()
    return Recipes(loaded(scale="smoke", methods=METHODS)).masks(Cell(MODEL, method, "0.5", seed))


def test_recipes_hold_settings_calibration_seed_pattern_and_code(folder):
    plain, variant = masks(), masks("foreign-2-4")
    assert plain["implementation"] == "foreign" and plain["method"] == {"budget": "layer"}
    assert plain["calibration"]["sequences"] == 16 and plain["model"]["dtype"] == "float32"
    assert plain["pattern"] == ""
    assert {**plain, "method": {"budget": "2:4"}, "pattern": "2:4"} == variant
    assert {**plain, "seed": 1} == masks(seed=1) != plain
    (folder / "__pycache__/prune.cpython-311.pyc").write_text("compiled")
    assert masks() == plain
    (folder / "prune.R").write_text("x <- 1\n")
    assert masks()["code"] != plain["code"]
