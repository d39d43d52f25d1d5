"""Tracked evaluations are recognised as results of the present settings and code."""

import json

import pytest

from leap_suite.artifacts.recorded import differences
from leap_suite.plan.cell import Cell
from leap_suite.plan.config import load
from leap_suite.plan.recipe import Recipes
from tests.conftest import ROOT

EVALUATIONS = ROOT / "results/examples/claim/evaluations"
# What differs in the recipes of methods that have changed since they were measured.
CHANGED = {
    "alps": {"checkpoint.masks.code"},  # in double precision since, which is other bits
    "elsa": {  # the order of its authors' public code since, and other values
        f"checkpoint.masks.method.{setting}"
        for setting in (
            "learning_rate",
            "warmup_steps",
            "max_grad_norm",
            "penalty",
            "interval",
            "clipping",
            "decay",
            "update_at",
            "trained",
        )
    },
}


@pytest.fixture(scope="module")
def recipes() -> Recipes:
    return Recipes(load({"scale": "claim", "hub_mirror": ""}))


@pytest.mark.parametrize("file", sorted(EVALUATIONS.rglob("*.json")), ids=lambda file: file.stem)
def test_an_evaluation_is_recognised(file, recipes):
    evaluation = json.loads(file.read_text())
    cell = Cell(*(evaluation[key] for key in ("model", "method", "sparsity", "seed")))
    found = differences(evaluation["provenance"]["recipe"], recipes.evaluation(cell))
    assert {line.split()[0] for line in found} == CHANGED.get(cell.method, set()), found
