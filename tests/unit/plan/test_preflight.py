"""Warnings and refusals before a run's first job."""

from pathlib import Path

import pytest

from leap_suite.artifacts.files import write_json
from leap_suite.plan import preflight
from leap_suite.plan.cell import Cell
from leap_suite.plan.config import load
from leap_suite.plan.recipe import Recipes
from leap_suite.plan.validation import ConfigError

MODEL = "mini-llama-3.2-1b"
LEAP, WANDA, ELSA = (Cell(MODEL, method, "0.5") for method in ("leap", "wanda", "elsa"))
RESULTS = Path("results/smoke")


@pytest.fixture
def recipes(tmp_path, monkeypatch) -> Recipes:
    monkeypatch.chdir(tmp_path)
    return Recipes(load({"scale": "smoke", "hub_mirror": ""}))


def train(recipe: dict, hours: float, cell: Cell = LEAP, name: str = "training.json") -> None:
    report = {"recipe": recipe, "cost": {"training_seconds": 3600 * hours}}
    write_json(RESULTS / "pruned" / cell.path / name, report)


@pytest.mark.parametrize(
    ("cell", "name", "changed", "why"),
    [
        (LEAP, "training.json", {"sparsity": "0.4"}, "sparsity was '0.4', now '0.5'"),
        (LEAP, "training.json", {}, "Forced execution"),
        (ELSA, "pruning.json", {}, "Forced execution"),
    ],
)
def test_a_recomputed_training_is_named_with_hours_and_reason(recipes, cell, name, changed, why):
    train({**recipes.masks(cell), **changed}, 0.5, cell, name)
    planned = dict.fromkeys([cell, WANDA], "Forced execution")  # Wanda's has not finished
    (line,) = preflight.recomputed(RESULTS, planned, recipes, replace=False)
    assert line == f"recomputes a finished training: {cell.path} (0.50 h), since {why}"


def test_hours_of_training_are_not_recomputed_unasked(recipes):
    planned = dict.fromkeys([LEAP, ELSA], "Forced execution")
    train(recipes.masks(LEAP), 0.6)
    assert len(preflight.recomputed(RESULTS, planned, recipes, replace=False)) == 1
    train(recipes.masks(ELSA), 0.6, ELSA, "pruning.json")
    with pytest.raises(ConfigError, match=r"(?s)1.2 hours.*leap.*elsa.*run=NAME.*replace=true"):
        preflight.recomputed(RESULTS, planned, recipes, replace=False)
    assert len(preflight.recomputed(RESULTS, planned, recipes, replace=True)) == 2
