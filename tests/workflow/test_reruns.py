"""What runs again on a finished smoke run: content decides, not time or place.

Which edits of the code change which recipes is tested in `tests/unit/plan/test_edits.py`.
"""

import json
import os
import re
import shutil
import time
from pathlib import Path

import pytest

from tests.workflow.conftest import SMOKE

pytestmark = pytest.mark.heavy

MODELS = 2  # of the scale
RESULTS = "results/smoke"
LEAP, WANDA = (f"mini-llama-3.2-1b/{method}/0.5" for method in ("leap", "wanda"))
SHOWN = {"collect": 1, "tables": True, "figures": True, "page": 1, "tracking": 1}


def edit(folder: Path, file: str, old: str, new: str) -> None:
    """Replace a piece of code in a copy of the suite; it must occur once."""
    text = (folder / file).read_text()
    assert text.count(old) == 1, f"{file} has {text.count(old)} of {old!r}"
    (folder / file).write_text(text.replace(old, new))


def change(file: Path, *keys: str, value: object) -> None:
    """Set a value in a JSON file, which loses its checksum."""
    content = inner = json.loads(file.read_text())
    del content["checksum"]
    for key in keys[:-1]:
        inner = inner[key]
    inner[keys[-1]] = value
    file.write_text(json.dumps(content))


def test_what_a_setting_decides_runs_again_and_nothing_else(smoke_run, planned):
    """LEAP starts from Wanda's masks; every baseline has its calibration text in its recipe."""
    wanda = planned(smoke_run, "methods={wanda: {budget: layer}}")
    assert wanda == SHOWN | {
        "prune": MODELS, "train": MODELS, "binarise": MODELS, "harden": 2 * MODELS,
        "evaluate": 2 * MODELS,
    }  # fmt: skip
    text = planned(smoke_run, "corpora={calibration: {sequences: 24}, perplexity: {sequences: 9}}")
    assert text == SHOWN | {
        "corpus": 2 * MODELS, "prune": 3 * MODELS, "train": MODELS, "binarise": MODELS,
        "harden": 4 * MODELS, "evaluate": 5 * MODELS,
    }  # fmt: skip
    assert planned(smoke_run, "run=other")["model"] == MODELS


def test_only_what_shows_an_edit_runs_again(smoke_run, tmp_path, copy_suite, planned):
    """Neither place nor times decide, nor edits that change no result; a figure is drawn alone."""
    clone = copy_suite(tmp_path / "clone")
    for kept in (RESULTS, ".snakemake"):
        shutil.copytree(smoke_run / kept, clone / kept, dirs_exist_ok=True)
    for package in ("leap", "baselines", "workflow/leap_suite"):
        for file in (clone / package).rglob("*.py"):
            file.write_text(file.read_text() + "\n\n# edited\n")
    for file, old, new in (
        ("leap/budget.py", '"""Exact survivor', '"""The exact survivor'),
        ("leap/methods/patch/__init__.py", "clamp_(-0.99", "clamp_(-0.98"),
        (
            "workflow/leap_suite/jobs/job.py",
            '"%s %d/%s, %.0f s left"',
            '"%s: %d of %s, %.0f s left"',
        ),
        ("workflow/leap_suite/tracking/runs.py", 'f" seed {cell.seed}"', 'f" s{cell.seed}"'),
        ("workflow/leap_suite/figures/gain.py", "(points)", "(percentage points)"),
    ):
        edit(clone, file, old, new)
    now = time.time()
    # in an order in which inputs are newer than outputs
    for place, file in enumerate(sorted(filter(Path.is_file, clone.rglob("*")), reverse=True)):
        if ".snakemake" not in file.parts:
            os.utime(file, (now + place, now + place))
    assert planned(clone) == {"figures": True, "page": 1}


def test_edits_of_the_selection_and_of_a_baselines_part_train_nothing_again(own_smoke_run, planned):
    selection = "leap/methods/leap/selection.py"
    edit(own_smoke_run, selection, "logits[name] > 0", "logits[name] >= 1e-30")
    edit(own_smoke_run, "baselines/hessian.py", "_PANELS = 4", "_PANELS = 5")
    assert planned(own_smoke_run) == SHOWN | {
        "prune": MODELS,  # ADMM's
        "binarise": MODELS, "harden": 2 * MODELS, "evaluate": 2 * MODELS,
    }  # fmt: skip


def test_results_without_snakemakes_records_plan_the_same_or_are_refused(
    own_smoke_run, planned, fail
):
    shutil.rmtree(own_smoke_run / ".snakemake")
    assert planned(own_smoke_run) == {}
    text = fail(own_smoke_run, "--dry-run", *SMOKE, "methods={wanda: {budget: layer}}")
    place = rf"{RESULTS}/evaluations/\S+/wanda/0\.5\.json"
    assert re.search(f"{place} was made with other settings", text)
    assert "method.budget was 'row', now 'layer'" in text and "run=NAME" in text


def test_a_smaller_grid_releases_its_own_cells_with_their_fingerprints(own_smoke_run, succeed):
    text = succeed(own_smoke_run, "release", *SMOKE, "grid={methods: [leap]}")
    said = "6 finished cells that this grid leaves out"
    assert said in text and text.index(said) < text.index("Packing")
    folder = own_smoke_run / RESULTS
    manifest = json.loads((folder / f"hardened/{LEAP}/manifest.json").read_text())
    evaluation = json.loads((folder / f"evaluations/{LEAP}.json").read_text())
    code = manifest["recipe"]["masks"]["code"]
    assert re.fullmatch("[0-9a-f]{16}", code)
    assert evaluation["provenance"]["recipe"]["checkpoint"] == manifest["recipe"]
    assert code in (folder / f"release/{LEAP}/README.md").read_text()


def test_hours_of_training_are_not_recomputed_unasked(own_smoke_run, fail, succeed):
    settings = (*SMOKE, "methods={leap: {steps: 21}}")
    target = f"{RESULTS}/pruned/{LEAP}/training.json"
    change(own_smoke_run / target, "cost", "training_seconds", value=3600 * 1.5)
    text = fail(own_smoke_run, target, *settings)
    assert "finished trainings of 1.5 hours" in text
    assert f"{LEAP} (1.50 h), since method.steps was 20, now 21" in text
    assert "run=NAME" in text and "replace=true" in text
    text = succeed(own_smoke_run, target, *settings, "replace=true")
    assert "a finished training" in text
    assert json.loads((own_smoke_run / target).read_text())["settings"]["steps"] == 21
