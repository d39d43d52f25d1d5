"""What runs again on a finished smoke run: content decides, not time or place.

Which edits of the code change which recipes is held by `tests/unit/plan/test_edits.py`.
"""

import ast
import json
import os
import re
import shutil
import time
from base64 import urlsafe_b64decode
from pathlib import Path

import pytest

from suite.artifacts.recorded import differences
from suite.plan.cell import Cell
from suite.plan.config import load
from suite.plan.grid import cells
from suite.plan.recipe import Recipes

pytestmark = pytest.mark.heavy

MODELS = 2  # of the scale
MODEL = "mini-llama-3.2-1b"
TABLE = "results/smoke/tables/main.csv"


def edit(folder: Path, file: str, old: str, new: str) -> None:
    """Replace a piece of code in a copy of the suite; it must be there once."""
    path = folder / file
    text = path.read_text()
    assert text.count(old) == 1, f"{file} has {text.count(old)} of {old!r}"
    path.write_text(text.replace(old, new))


def jobs_in(text: str) -> dict[str, int]:
    """Numbers of jobs by rule, where Snakemake says what it has to do."""
    lines = re.findall(r"^(\w+) +(\d+)$", text, flags=re.MULTILINE)
    return {name: int(count) for name, count in lines if name not in ("total", "all")}


@pytest.fixture
def fresh_checkout(smoke_run, tmp_path, copy_suite) -> Path:
    """Code with other times in another place; results and Snakemake's records copied."""
    clone = copy_suite(tmp_path / "clone")
    for kept in ("results/smoke", ".snakemake"):
        shutil.copytree(smoke_run / kept, clone / kept, dirs_exist_ok=True)
    return clone


def recorded_params(copy: Path) -> dict[str, tuple[str, list[object]]]:
    """The rule and params with which each output was made, by Snakemake's records."""
    folder = copy / ".snakemake/metadata"
    found = {}
    for file in filter(Path.is_file, folder.rglob("*")):
        name = "".join(part.removeprefix("@") for part in file.relative_to(folder).parts)
        record = json.loads(file.read_text())
        params = [ast.literal_eval(param) for param in record["params"]]
        found[urlsafe_b64decode(name).decode()] = (record["rule"], params)
    return found


def test_every_job_has_the_recipe_of_its_result_among_its_params(smoke_run):
    recipes = Recipes(load({"scale": "smoke", "hub_mirror": ""}))
    grid = cells(recipes.settings)
    wanted = {"world/world.json": ("miniature_world", recipes.world())}
    for model in recipes.settings["grid"]["models"]:
        wanted[f"models/{model}/model.json"] = ("model", recipes.model(model))
        for corpus in ("calibration", "training", "perplexity"):
            made = ("corpus", recipes.corpus(corpus))
            wanted[f"corpora/{model}/{corpus}.safetensors"] = made
    for cell in grid:
        wanted[f"evaluations/{cell.path}.json"] = ("evaluate", recipes.evaluation(cell))
        if cell == Cell.dense(cell.model):
            continue
        wanted[f"hardened/{cell.path}/manifest.json"] = ("harden", recipes.checkpoint(cell))
        masks = f"pruned/{cell.path}/mask.safetensors"
        if cell.method == "leap":
            made = ("train", recipes.masks(cell))
            wanted[f"pruned/{cell.path}/logits.safetensors"] = made
            wanted[masks] = ("binarise", recipes.selection(cell))
        else:
            wanted[masks] = ("prune", recipes.masks(cell))
    all_recipes = {cell.path: recipes.evaluation(cell) for cell in grid}
    wanted["results.parquet"] = ("collect", all_recipes)
    recorded = recorded_params(smoke_run)
    for file, (rule, recipe) in wanted.items():
        made_by, params = recorded[f"results/smoke/{file}"]
        own = [value for value in params if isinstance(value, dict)]
        assert made_by == rule
        assert any(differences(value, recipe) == [] for value in own), file


def test_only_what_shows_an_edit_runs_again(fresh_checkout, snakemake):
    """Neither place nor times decide, nor edits that change no result; a figure is drawn alone."""
    for package in ("leap", "baselines", "workflow/suite"):
        for file in (fresh_checkout / package).rglob("*.py"):
            file.write_text(file.read_text() + "\n\n# edited\n")
    for file, old, new in (
        ("leap/budget.py", '"""Exact numbers', '"""The exact numbers'),
        ("leap/methods/patch/__init__.py", "clamp_(-0.99", "clamp_(-0.98"),
        ("workflow/suite/jobs/job.py", '"%s %d/%s, %.0f s left"', '"%s: %d of %s, %.0f s left"'),
        ("workflow/suite/tracking/runs.py", 'f" seed {cell.seed}"', 'f" s{cell.seed}"'),
        ("workflow/suite/plan/cost/estimate.py", "_TOKENS = 10e6", "_TOKENS = 9e6"),
        ("workflow/suite/figures/gain.py", "(points)", "(percentage points)"),
    ):
        edit(fresh_checkout, file, old, new)
    files = [file for file in fresh_checkout.rglob("*") if file.is_file()]
    now = time.time()
    # in an order in which inputs come after outputs
    for place, file in enumerate(sorted(files, reverse=True)):
        if ".snakemake" not in file.parts:
            os.utime(file, (now + place, now + place))
    process = snakemake(fresh_checkout, "--dry-run", "--config", "scale=smoke")
    text = process.stdout + process.stderr
    assert process.returncode == 0, text[-5000:]
    assert jobs_in(text) == {"figure_gain": 1, "page": 1}


def test_edits_of_the_selection_and_of_a_baselines_part_train_nothing_again(own_smoke_run, planned):
    edit(
        own_smoke_run, "leap/methods/leap/selection.py", "first_N = tied_N.cumsum(0) <= ties",
        "first_N = tied_N.cumsum(0) < ties + 1",
    )  # fmt: skip
    edit(own_smoke_run, "baselines/hessian.py", "_STRONGEST = 1.0", "_STRONGEST = 2.0")
    assert planned(own_smoke_run) == {
        "prune": MODELS,  # ADMM's
        "binarise": MODELS, "harden": 2 * MODELS, "evaluate": 2 * MODELS, "tracking": 1,
        "collect": 1, "tables": True, "page": 1, "figures": True,
    }  # fmt: skip


def test_a_run_of_another_name_begins_anew(own_smoke_run, planned):
    found = planned(own_smoke_run, "scale=smoke", "run=other", "methods={leap: {steps: 30}}")
    assert found["train"] == MODELS and found["model"] == MODELS


def test_results_without_snakemakes_records_plan_the_same_or_are_refused_by_name(
    own_smoke_run, planned, snakemake
):
    shutil.rmtree(own_smoke_run / ".snakemake")
    assert planned(own_smoke_run) == {}
    change = ("scale=smoke", "methods={wanda: {budget: layer}}")
    process = snakemake(own_smoke_run, "--dry-run", "--config", *change)
    text = process.stdout + process.stderr
    assert process.returncode != 0
    assert re.search(
        r"results/smoke/evaluations/\S+/wanda/0\.5\.json was made with other settings", text
    )
    assert "method.budget was 'row', now 'layer'" in text and "run=NAME" in text
    assert "Traceback" not in text


def test_tables_refuse_an_evaluation_of_another_recipe(own_smoke_run, snakemake):
    """As where somebody put a file there by hand."""
    cell = f"{MODEL}/wanda/0.5.json"
    file = own_smoke_run / "results/smoke/evaluations" / cell
    evaluation = json.loads(file.read_text())
    del evaluation["checksum"]
    evaluation["provenance"]["recipe"]["evaluation"]["batch_tokens"] = 7
    file.write_text(json.dumps(evaluation))
    (own_smoke_run / TABLE).unlink()
    triggers = ("--rerun-triggers", "mtime")
    process = snakemake(own_smoke_run, TABLE, *triggers, "--config", "scale=smoke")
    text = process.stdout + process.stderr
    assert process.returncode != 0 and "Traceback" not in text
    assert f"{cell} was made with other settings" in text
    assert "evaluation.batch_tokens was 7, now 4096" in text


def test_a_release_of_a_smaller_grid_says_what_it_leaves_out_and_carries_the_fingerprint(
    own_smoke_run, snakemake
):
    smaller = ("scale=smoke", "grid={methods: [leap]}")
    process = snakemake(own_smoke_run, "release", "--config", *smaller)
    text = process.stdout + process.stderr
    assert process.returncode == 0, text[-3000:]
    # before it starts
    said = "results/smoke has 6 finished cells that this grid leaves out"
    assert said in text and text.index(said) < text.index("Packing")
    folder = own_smoke_run / "results/smoke"
    cell = f"{MODEL}/leap/0.5"
    manifest = json.loads((folder / f"hardened/{cell}/manifest.json").read_text())
    evaluation = json.loads((folder / f"evaluations/{cell}.json").read_text())
    code = manifest["recipe"]["masks"]["code"]
    assert re.fullmatch("[0-9a-f]{16}", code)
    assert evaluation["provenance"]["recipe"]["checkpoint"] == manifest["recipe"]
    assert code in (folder / f"release/{cell}/README.md").read_text()


def test_hours_of_training_are_not_recomputed_unasked(own_smoke_run, snakemake):
    change = ("scale=smoke", "methods={leap: {steps: 21}}")
    target = f"results/smoke/pruned/{MODEL}/leap/0.5/training.json"
    report = json.loads((own_smoke_run / target).read_text())
    del report["checksum"]
    report["cost"]["training_seconds"] = 3600 * 1.5
    (own_smoke_run / target).write_text(json.dumps(report))
    refused = snakemake(own_smoke_run, target, "--config", *change)
    text = refused.stdout + refused.stderr
    assert refused.returncode != 0 and "Traceback" not in text
    assert "would recompute finished trainings of 1.5 hours" in text
    assert f"{MODEL}/leap/0.5 (1.50 h), since method.steps was 20, now 21" in text
    assert "run=NAME" in text and "replace=true" in text
    allowed = snakemake(own_smoke_run, target, "--config", *change, "replace=true")
    assert allowed.returncode == 0, allowed.stderr[-3000:]
    assert "recomputes a finished training" in allowed.stdout + allowed.stderr
    assert json.loads((own_smoke_run / target).read_text())["settings"]["steps"] == 21
