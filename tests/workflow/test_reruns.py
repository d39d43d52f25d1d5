"""What runs again on a finished smoke run: content decides, not time or place."""

import json
import os
import re
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pytest

pytestmark = pytest.mark.heavy

MODELS, TRAINED = 2, 1  # models of the scale, and trained methods in its grid
METHODS = 4
SHOWN = {"tables": 1, "page": 1, "figures": True}


def edit(folder: Path, file: str, old: str, new: str) -> None:
    """Replace a piece of code in a copy of the suite; it must be there once."""
    path = folder / file
    text = path.read_text()
    assert text.count(old) == 1, f"{file} has {text.count(old)} of {old!r}"
    path.write_text(text.replace(old, new))


def test_a_folder_that_is_moved_has_nothing_to_do(own_smoke_run, planned):
    assert planned(own_smoke_run) == {}


def test_a_fresh_checkout_around_finished_results_has_nothing_to_do(
    smoke_run, tmp_path, copy_suite, planned
):
    """Code with other times in another place; results and Snakemake's records copied."""
    clone = copy_suite(tmp_path / "clone")
    for kept in ("results/smoke", ".snakemake"):
        shutil.copytree(smoke_run / kept, clone / kept, dirs_exist_ok=True)
    assert planned(clone) == {}


def test_touching_everything_re_runs_nothing(own_smoke_run, planned):
    files = [file for file in own_smoke_run.rglob("*") if file.is_file()]
    now = time.time()
    # in an order in which inputs come after outputs
    for place, file in enumerate(sorted(files, reverse=True)):
        if ".snakemake" not in file.parts:
            os.utime(file, (now + place, now + place))
    assert planned(own_smoke_run) == {}


def test_comments_docstrings_and_formatting_re_run_nothing(own_smoke_run, planned):
    for package in ("leap", "baselines", "workflow/suite"):
        for file in (own_smoke_run / package).rglob("*.py"):
            file.write_text(file.read_text() + "\n\n# edited\n")
    edit(own_smoke_run, "leap/budget.py", '"""Exact numbers', '"""The exact numbers')
    assert planned(own_smoke_run) == {}


def test_another_selection_of_masks_trains_nothing_again(own_smoke_run, planned):
    edit(
        own_smoke_run, "leap/selection/leap.py", "first_N = tied_N.cumsum(0) <= ties",
        "first_N = tied_N.cumsum(0) < ties + 1",
    )  # fmt: skip
    assert planned(own_smoke_run) == {
        "binarise": MODELS, "harden": MODELS, "evaluate": MODELS, "tracking": 1, **SHOWN,
    }  # fmt: skip


def test_an_edited_hessian_prunes_again_what_uses_it_and_not_wanda(
    own_smoke_run, planned, snakemake
):
    edit(own_smoke_run, "baselines/hessian.py", "_STRONGEST = 1.0", "_STRONGEST = 2.0")
    grid = "grid={methods: [magnitude, wanda, sparsegpt, thanos, admm, leap]}"
    process = snakemake(own_smoke_run, "--dry-run", "--config", "scale=smoke", grid)
    text = process.stdout + process.stderr
    again = set(re.findall(r"Pruning \S+ to 0\.5 with (\w+)", text))
    assert again == {"sparsegpt", "thanos", "admm"}
    assert "Learning masks" not in text
    assert planned(own_smoke_run)["prune"] == MODELS  # ADMM's, of the scale's own grid


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("leap/parameterisations/patch.py", "clamp_(-0.99", "clamp_(-0.98"),
        ("workflow/suite/jobs/job.py", '"%s %d/%s, %.0f s left"', '"%s: %d of %s, %.0f s left"'),
        ("workflow/suite/tracking/shown.py", 'return " ".join(', 'return "/".join('),
        ("workflow/suite/plan/cost/estimate.py", "_TOKENS = 10e6", "_TOKENS = 9e6"),
    ],
)
def test_what_decides_no_result_of_leap_trains_nothing(own_smoke_run, planned, file, old, new):
    """PATCH's tiles, a progress line, a run's name in tracking, planning."""
    edit(own_smoke_run, file, old, new)
    assert planned(own_smoke_run) == {}


def test_an_edit_of_the_evaluation_evaluates_everything_and_prunes_nothing(own_smoke_run, planned):
    edit(own_smoke_run, "workflow/suite/stages/perplexity.py", "max(1, len(", "max(2, len(")
    assert planned(own_smoke_run) == {
        "evaluate": MODELS * (METHODS + 1), "tracking": 1, **SHOWN,
    }  # fmt: skip


def test_an_edited_figure_is_drawn_again_alone(own_smoke_run, planned):
    edit(own_smoke_run, "workflow/suite/figures/gain.py", "(points)", "(percentage points)")
    assert planned(own_smoke_run) == {"page": 1, "figures": True}


def test_results_without_snakemakes_records_plan_the_same(own_smoke_run, planned):
    shutil.rmtree(own_smoke_run / ".snakemake")
    assert planned(own_smoke_run) == {}


def test_without_records_a_cell_of_other_settings_is_refused_by_name(own_smoke_run, snakemake):
    shutil.rmtree(own_smoke_run / ".snakemake")
    change = ("scale=smoke", "methods={wanda: {budget: layer}}")
    for mode in (["--dry-run"], []):
        process = snakemake(own_smoke_run, *mode, "--config", *change)
        text = process.stdout + process.stderr
        assert process.returncode != 0
        assert re.search(
            r"results/smoke/evaluations/\S+/wanda/0\.5\.json was made with other settings", text
        )
        assert "method.budget was 'row', now 'layer'" in text and "run=NAME" in text
        assert "Traceback" not in text


def test_tables_refuse_an_evaluation_of_another_recipe(own_smoke_run, snakemake):
    """As where somebody put a file there by hand."""
    folder = own_smoke_run / "results/smoke"
    cell = "mini-llama-3.2-1b/wanda/0.5.json"
    evaluation = json.loads((folder / "evaluations" / cell).read_text())
    del evaluation["checksum"]
    evaluation["provenance"]["recipe"]["evaluation"]["batch_tokens"] = 7
    (folder / "evaluations" / cell).write_text(json.dumps(evaluation))
    (folder / "tables/main.csv").unlink()
    triggers = ("--rerun-triggers", "mtime")
    target = "results/smoke/tables/main.csv"
    process = snakemake(own_smoke_run, target, *triggers, "--config", "scale=smoke")
    text = process.stdout + process.stderr
    assert process.returncode != 0 and "Traceback" not in text
    assert f"{cell} was made with other settings" in text
    assert "evaluation.batch_tokens was 7, now 4096" in text


def test_a_run_of_another_name_leaves_the_first_alone(own_smoke_run, planned):
    found = planned(own_smoke_run, "scale=smoke", "run=other", "methods={leap: {steps: 30}}")
    assert found["train"] == MODELS and found["model"] == MODELS
    assert planned(own_smoke_run) == {}


def test_a_smaller_grid_says_what_it_leaves_out_before_it_starts(own_smoke_run, snakemake):
    smaller = ("scale=smoke", "grid={methods: [wanda]}")
    target = "results/smoke/tables/main.csv"
    process = snakemake(own_smoke_run, target, "--config", *smaller)
    text = process.stdout + process.stderr
    assert process.returncode == 0, text[-3000:]
    assert "results/smoke holds 6 finished cells that this grid leaves out" in text


def hours(folder: Path, value: float) -> Callable[[], None]:
    """Give every finished training of the run this many hours."""
    for report in (folder / "results/smoke/pruned").rglob("training.json"):
        content = json.loads(report.read_text())
        del content["checksum"]
        content["cost"]["training_seconds"] = 3600 * value
        report.write_text(json.dumps(content))


def test_hours_of_training_are_not_made_again_unasked(own_smoke_run, snakemake):
    change = ("scale=smoke", "methods={leap: {steps: 21}}")
    target = "results/smoke/pruned/mini-llama-3.2-1b/leap/0.5/training.json"
    hours(own_smoke_run, 1.5)
    refused = snakemake(own_smoke_run, target, "--config", *change)
    text = refused.stdout + refused.stderr
    assert refused.returncode != 0 and "Traceback" not in text
    assert "would make finished trainings of 1.5 hours again" in text
    assert "mini-llama-3.2-1b/leap/0.5 (1.50 h), since method.steps was 20, now 21" in text
    assert "run=NAME" in text and "replace=true" in text
    allowed = snakemake(own_smoke_run, target, "--config", *change, "replace=true")
    assert allowed.returncode == 0, allowed.stderr[-3000:]
    assert "makes a finished training again" in allowed.stdout + allowed.stderr


def test_the_fingerprint_is_in_manifest_evaluation_and_release_card(own_smoke_run, snakemake):
    process = snakemake(own_smoke_run, "release", "--config", "scale=smoke")
    assert process.returncode == 0, process.stderr[-3000:]
    folder = own_smoke_run / "results/smoke"
    cell = "mini-llama-3.2-1b/leap/0.5"
    manifest = json.loads((folder / f"hardened/{cell}/manifest.json").read_text())
    evaluation = json.loads((folder / f"evaluations/{cell}.json").read_text())
    code = manifest["recipe"]["masks"]["code"]
    assert re.fullmatch("[0-9a-f]{16}", code)
    assert evaluation["provenance"]["recipe"]["checkpoint"] == manifest["recipe"]
    assert code in (folder / f"release/{cell}/README.md").read_text()
