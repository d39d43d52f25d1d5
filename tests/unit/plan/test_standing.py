"""What stands in a run's folder: said, or refused."""

from base64 import urlsafe_b64encode
from pathlib import Path

import pytest

from suite.artifacts.files import write_json
from suite.plan import standing
from suite.plan.cell import Cell
from suite.plan.config import load
from suite.plan.grid import cells
from suite.plan.recipe import Recipes
from suite.plan.validation import ConfigError

MODEL = "mini-llama-3.2-1b"
LEAP, WANDA = Cell(MODEL, "leap", "0.5"), Cell(MODEL, "wanda", "0.5")


@pytest.fixture
def recipes(tmp_path, monkeypatch) -> Recipes:
    monkeypatch.chdir(tmp_path)
    return Recipes(load({"scale": "smoke", "hub_mirror": ""}))


def train(recipe: dict, hours: float, cell: Cell = LEAP, name: str = "training.json") -> None:
    report = {"recipe": recipe, "cost": {"training_seconds": 3600 * hours}}
    write_json(f"results/smoke/pruned/{cell.path}/{name}", report)


def test_cells_that_a_smaller_grid_leaves_out_are_counted_in_one_line(recipes):
    whole = cells(recipes.settings)
    for cell in whole:
        write_json(f"results/smoke/evaluations/{cell.path}.json", {})
    assert standing.left_out(Path("results/smoke"), whole) == ""
    line = standing.left_out(Path("results/smoke"), [c for c in whole if c.method != "leap"])
    assert line.startswith("results/smoke holds 2 finished cells that this grid leaves out")
    assert "run=NAME" in line and "\n" not in line


def test_a_training_that_is_made_again_is_named_with_its_reason_and_hours(recipes):
    train({**recipes.masks(LEAP), "sparsity": "0.4"}, hours=0.5)
    (found,) = standing.remade(Path("results/smoke"), {LEAP: "?", WANDA: "?"}, recipes)
    assert (found.cell, found.hours, found.why) == (LEAP, 0.5, "sparsity was '0.4', now '0.5'")
    (line,) = standing.announce([found], replace=False)
    assert LEAP.path in line and "0.50 h" in line and "sparsity was '0.4'" in line


def test_snakemakes_own_reason_is_given_where_settings_are_the_same(recipes):
    train(recipes.masks(LEAP), hours=0.1)
    (found,) = standing.remade(Path("results/smoke"), {LEAP: "Forced execution"}, recipes)
    assert found.why == "Forced execution"


def test_a_training_of_weights_is_named_too(recipes):
    elsa = Cell(MODEL, "elsa", "0.5")
    train(recipes.masks(elsa), hours=2, cell=elsa, name="pruning.json")
    (found,) = standing.remade(Path("results/smoke"), {elsa: "Forced execution"}, recipes)
    assert (found.cell, found.hours, found.why) == (elsa, 2, "Forced execution")


def test_hours_of_trainings_are_not_made_again_unasked(recipes):
    found = [standing.Remade(LEAP, "steps was 1, now 2", hours) for hours in (0.6, 0.6)]
    with pytest.raises(ConfigError) as error:
        standing.announce(found, replace=False)
    text = str(error.value)
    assert "1.2 hours" in text and "run=NAME" in text and "replace=true" in text
    assert text.count("steps was 1, now 2") == 2
    assert len(standing.announce(found, replace=True)) == 2
    assert len(standing.announce(found[:1], replace=False)) == 1


def test_an_evaluation_of_other_settings_without_snakemakes_record_is_refused(recipes):
    path = f"results/smoke/evaluations/{WANDA.path}.json"
    recorded = recipes.evaluation(WANDA)
    write_json(path, {"provenance": {"recipe": recorded}})
    standing.refuse_unrecorded({WANDA: path}, recipes)
    other = Recipes(
        load({"scale": "smoke", "hub_mirror": "", "methods": {"wanda": {"budget": "layer"}}})
    )
    with pytest.raises(ConfigError) as error:
        standing.refuse_unrecorded({WANDA: path}, other)
    assert path in str(error.value)
    assert "checkpoint.masks.method.budget was 'row', now 'layer'" in str(error.value)
    # with a record Snakemake itself compares, and makes it again
    record = Path(".snakemake/metadata", urlsafe_b64encode(path.encode()).decode())
    record.parent.mkdir(parents=True)
    record.write_text("{}")
    standing.refuse_unrecorded({WANDA: path}, other)


def test_an_evaluation_without_a_recipe_is_refused_too(recipes):
    path = f"results/smoke/evaluations/{WANDA.path}.json"
    write_json(path, {"provenance": {}})
    with pytest.raises(ConfigError, match="now"):
        standing.refuse_unrecorded({WANDA: path}, recipes)
