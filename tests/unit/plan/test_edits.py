"""Jobs that an edit of the code concerns: those whose recipe it changes.

`tests/workflow/test_reruns.py` holds that each job has its result's recipe among its params, and
that Snakemake recomputes a result of another recipe.
"""

import ast
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from leap_suite.plan import code, recipe
from leap_suite.plan.cell import DENSE, Cell
from leap_suite.plan.config import load
from tests.conftest import ROOT

Jobs = dict[str, set[str]]  # the names of a rule's jobs

MODEL = "mini-llama-3.2-1b"
CORPORA = {"calibration", "training", "perplexity"}
OF_HESSIANS = {"sparsegpt", "thanos", "admm", "admm-cubic", "admm-reconstruct"}
RECONSTRUCTED = {"reconstruct", "admm-reconstruct", "leap-reconstruct"}
ROUNDED = {"rounding", "rounding-8", "rounding-4"}
OTHERS = {"random-mask", "magnitude", "wanda", "alps"}
LAYER_WISE = {*OTHERS, *ROUNDED, *OF_HESSIANS, *RECONSTRUCTED}
# LEAP's mask in one budget with its weights is trained for ten steps
MASKS = {"leap", "leap-10-steps"}
OF_WANDA = {"finetune", "finetune-distil"}
WEIGHTS = {"elsa", "gmp", "leap-finetune", *OF_WANDA}
METHODS = {*LAYER_WISE, *MASKS, *WEIGHTS}


def cells(*methods: str, **jobs: set[str]) -> Jobs:
    """All jobs from here to the evaluations of these methods' cells."""
    return {**jobs, "harden": set(methods), "evaluate": set(methods)}


MADE = {"prune": LAYER_WISE, "train": MASKS, "train_weights": WEIGHTS}
EVALUATED: Jobs = {"evaluate": {*METHODS, DENSE}}

OF_MASKS = cells(
    *MASKS, "leap-reconstruct", "leap-finetune",
    prune={"leap-reconstruct"}, train_weights={"leap-finetune"},
)  # fmt: skip
OF_LEAP = {**OF_MASKS, "train": MASKS}
TRAINED = {**OF_LEAP, **cells(*MASKS, *WEIGHTS, "leap-reconstruct", train_weights=WEIGHTS)}

# A function that is edited, and the jobs that this concerns.
EDITS: dict[str, Jobs] = {
    # where everything begins
    "workflow/leap_suite/miniature/text.py:training_documents": {
        **cells(*METHODS, miniature_world={""}, corpus=CORPORA, **MADE), **EVALUATED,
    },
    "workflow/leap_suite/stages/models.py:prepare": {
        **cells(*METHODS, model={MODEL}, **MADE), **EVALUATED,
    },
    "workflow/leap_suite/stages/corpora.py:build": {
        **cells(*METHODS, corpus=CORPORA, **MADE), **EVALUATED,
    },
    # layer-wise methods: LEAP starts from Wanda's masks
    "baselines/wanda.py:score": cells(
        "wanda", "reconstruct", *MASKS, "leap-reconstruct", "leap-finetune", *OF_WANDA,
        prune={"wanda", "reconstruct", "leap-reconstruct"}, train=MASKS,
        train_weights={"leap-finetune", *OF_WANDA},
    ),
    "baselines/hessian.py:factor_events": cells(
        "sparsegpt", "thanos", prune={"sparsegpt", "thanos"},
    ),
    "baselines/reconstruct.py:tune": cells(*RECONSTRUCTED, prune=RECONSTRUCTED),
    # trainings
    "leap/training/data.py:sequences": TRAINED,
    "workflow/leap_suite/stages/train.py:_attempt": TRAINED,
    "leap/training/objective.py:density_term": OF_LEAP,
    "leap/methods/elsa.py:learn_weights": cells("elsa", train_weights={"elsa"}),
    "leap/methods/gmp.py:sparsity_at": cells("gmp", train_weights={"gmp"}),
    "leap/settings.py:mask_steps": cells(
        *OF_WANDA, "leap-finetune", train_weights={*OF_WANDA, "leap-finetune"},
    ),
    # another selection of masks trains nothing again
    "leap/methods/leap/selection.py:exact_masks": {**OF_MASKS, "binarise": MASKS},
    # the last stages prune nothing again
    "workflow/leap_suite/stages/harden.py:harden": cells(*METHODS),
    "workflow/leap_suite/stages/perplexity.py:_mean_and_error": EVALUATED,
    # PATCH, which is in no grid here; checkpoints; a download; a progress line; a run's name in
    # tracking; planning; a figure
    "leap/methods/patch/__init__.py:first_tile_logits": {},
    "leap/states/checkpoint.py:save_if_due": {},
    "workflow/leap_suite/sources/hub.py:locate": {},
    "workflow/leap_suite/jobs/job.py:progress": {},
    "workflow/leap_suite/plan/grid.py:cells": {},
    "workflow/leap_suite/figures/gain.py:gain": {},
}  # fmt: skip


@pytest.fixture(scope="module")
def copy(tmp_path_factory) -> Iterator[Path]:
    """A copy of the code that recipes are made of, and of its data: where they now come from."""
    folder = tmp_path_factory.mktemp("checkout")
    for package in ("leap", "baselines", "workflow"):
        shutil.copytree(ROOT / package, folder / package, ignore=shutil.ignore_patterns("*.pyc"))
    with pytest.MonkeyPatch.context() as patch:
        for package, place in code.PACKAGES.items():
            patch.setitem(code.PACKAGES, package, folder / place.relative_to(ROOT))
        for name in ("MINIATURES", "_TASKS"):
            patch.setattr(recipe, name, folder / getattr(recipe, name).relative_to(ROOT))
        yield folder
    forget()


def forget() -> None:
    """Have the code read again."""
    for cached in (code._file, code._read, code._fingerprint, code._references, code._hash,
                   code._write):  # fmt: skip
        cached.cache_clear()


@pytest.fixture(scope="module")
def settings() -> dict[str, Any]:
    return load({"scale": "smoke", "hub_mirror": ""})


@pytest.fixture(scope="module")
def before(copy, settings) -> dict[tuple[str, str], Any]:
    return recipes(settings)


def recipes(settings: dict[str, Any]) -> dict[tuple[str, str], Any]:
    """The recipe of every job of one model, by rule and corpus or method."""
    forget()
    known = recipe.Recipes(settings)
    found = {("miniature_world", ""): known.world(), ("model", MODEL): known.model(MODEL)}
    found |= {("corpus", name): known.corpus(name) for name in CORPORA}
    found["evaluate", DENSE] = known.evaluation(Cell.dense(MODEL))
    for method in METHODS:
        cell = Cell(MODEL, method, "0.5")
        (makes,) = (rule for rule, names in MADE.items() if method in names)
        found[makes, method] = known.masks(cell)
        if method in MASKS:
            found["binarise", method] = known.selection(cell)
        found["harden", method] = known.checkpoint(cell)
        found["evaluate", method] = known.evaluation(cell)
    return found


def changed(before: dict[tuple[str, str], Any], now: dict[tuple[str, str], Any]) -> Jobs:
    jobs: Jobs = {}
    for rule, name in before:
        if before[rule, name] != now[rule, name]:
            jobs.setdefault(rule, set()).add(name)
    return jobs


def test_these_are_all_methods(settings):
    assert set(settings["methods"]) == METHODS


def edited(text: str, function: str) -> str:
    """A module's text with one more statement in a function."""
    nodes = [n for n in ast.walk(ast.parse(text)) if getattr(n, "name", "") == function]
    first = nodes[0].body[0]
    lines = text.splitlines(keepends=True)
    lines.insert(first.end_lineno, " " * first.col_offset + "edited = True\n")
    return "".join(lines)


@contextmanager
def changed_files(texts: dict[Path, str]) -> Iterator[None]:
    """Other texts for files of the copy, until the body ends."""
    before = {file: file.read_text() for file in texts}
    try:
        for file, text in texts.items():
            file.write_text(text)
        yield
    finally:
        for file, text in before.items():
            file.write_text(text)


@pytest.mark.parametrize("edit", EDITS)
def test_an_edit_changes_the_recipes_of_the_jobs_that_it_concerns(copy, settings, before, edit):
    name, function = edit.split(":")
    with changed_files({copy / name: edited((copy / name).read_text(), function)}):
        assert changed(before, recipes(settings)) == EDITS[edit]


def test_comments_docstrings_and_formatting_change_no_recipe(copy, settings, before):
    files = [
        f
        for room in ("leap", "baselines", "workflow/leap_suite")
        for f in (copy / room).rglob("*.py")
    ]
    texts = {}
    for file in files:
        text = file.read_text()
        summary, rest = text.split('"""', 2)[1:] if text.startswith('"""') else ("", text)
        texts[file] = f'"""{summary}, as it was."""\n\n\n# edited{rest}\n\n# edited\n'
    with changed_files(texts):
        assert len(files) > 100 and recipes(settings) == before


def test_a_moved_module_and_reworded_errors_change_no_recipe(copy, settings, before):
    old, new = copy / "leap/training/clipping.py", copy / "leap/distributed/clipping.py"
    texts = {
        file: file.read_text().replace("leap.training.clipping", "leap.distributed.clipping")
        for file in (copy / "leap").rglob("*.py")
    }
    for name, words, others in (
        ("leap/training/trainer.py", "the loss is not finite at step", "the loss diverged at step"),
        ("leap/methods/leap/__init__.py", "it belongs to another model", "take this model's masks"),
        ("baselines/sequential.py", "a pruned weight is not finite", "a weight became infinite"),
    ):
        assert words in texts.setdefault(copy / name, (copy / name).read_text())
        texts[copy / name] = texts[copy / name].replace(words, others)
    with changed_files(texts):
        old.rename(new)
        try:
            assert recipes(settings) == before
        finally:
            new.rename(old)


def test_the_data_of_a_miniature_count(copy, settings, before):
    """Weights that are tracked with the code."""
    file = copy / "workflow/leap_suite/miniature/checkpoints" / MODEL / "model.safetensors"
    whole = file.read_bytes()
    file.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    try:
        found = changed(before, recipes(settings))
    finally:
        file.write_bytes(whole)
    assert found == {**cells(*METHODS, model={MODEL}, **MADE), **EVALUATED}
