"""Which jobs an edit of the code concerns: those whose recipe it changes.

That each job has its result's recipe among its params, and that Snakemake makes again what has
another one, is held by `tests/workflow/test_reruns.py`.
"""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from suite.plan import code, recipe
from suite.plan.cell import DENSE, Cell
from suite.plan.config import load
from tests.conftest import ROOT

Jobs = dict[str, set[str]]  # the names of a rule's jobs

MODEL = "mini-llama-3.2-1b"
CORPORA = {"calibration", "training", "perplexity"}
OF_HESSIANS = {"sparsegpt", "thanos", "admm", "admm-cubic", "admm-reconstruct"}
RECONSTRUCTED = {"reconstruct", "admm-reconstruct", "leap-reconstruct"}
LAYER_WISE = {"random-mask", "magnitude", "wanda", "alps", *OF_HESSIANS, *RECONSTRUCTED}
METHODS = {*LAYER_WISE, "leap", "elsa"}


def cells(*methods: str, **jobs: set[str]) -> Jobs:
    """All jobs from here to the evaluations of these methods' cells."""
    return {**jobs, "harden": set(methods), "evaluate": set(methods)}


MADE = {"prune": LAYER_WISE, "train": {"leap"}, "train_weights": {"elsa"}}
EVALUATED: Jobs = {"evaluate": {*METHODS, DENSE}}

EDITS: dict[str, Jobs] = {
    # where everything begins
    "workflow/suite/miniature/text.py": {
        **cells(*METHODS, miniature_world={""}, corpus=CORPORA, **MADE), **EVALUATED,
    },
    "workflow/suite/stages/models.py": {
        **cells(*METHODS, model={MODEL}, **MADE), **EVALUATED,
    },
    "workflow/suite/stages/corpora.py": {
        **cells(*METHODS, corpus=CORPORA, **MADE), **EVALUATED,
    },
    # layer-wise methods: LEAP starts from Wanda's masks
    "baselines/wanda.py": cells(
        "wanda", "reconstruct", "leap", "leap-reconstruct",
        prune={"wanda", "reconstruct", "leap-reconstruct"}, train={"leap"},
    ),
    "baselines/hessian.py": cells(*OF_HESSIANS, prune=OF_HESSIANS),
    "baselines/reconstruct.py": cells(*RECONSTRUCTED, prune=RECONSTRUCTED),
    # trainings
    "leap/trainer.py": cells(
        "leap", "leap-reconstruct", "elsa",
        prune={"leap-reconstruct"}, train={"leap"}, train_weights={"elsa"},
    ),
    "leap/objective.py": cells(
        "leap", "leap-reconstruct", prune={"leap-reconstruct"}, train={"leap"},
    ),
    "leap/elsa.py": cells("elsa", train_weights={"elsa"}),
    # another selection of masks trains nothing again
    "leap/methods/leap/selection.py": cells(
        "leap", "leap-reconstruct", prune={"leap-reconstruct"}, binarise={"leap"},
    ),
    # the last stages prune nothing again
    "workflow/suite/stages/harden.py": cells(*METHODS),
    "workflow/suite/stages/perplexity.py": EVALUATED,
    # PATCH's tiles, which are in no grid here; a progress line, a run's name in tracking, planning,
    # a figure
    "leap/methods/patch/__init__.py": {},
    "workflow/suite/jobs/job.py": {},
    "workflow/suite/tracking/runs.py": {},
    "workflow/suite/plan/cost/estimate.py": {},
    "workflow/suite/figures/gain.py": {},
}  # fmt: skip


@pytest.fixture(scope="module")
def copy(tmp_path_factory) -> Iterator[Path]:
    """A copy of the code that recipes are made of, and of its data: where they now come from."""
    folder = tmp_path_factory.mktemp("checkout")
    for package in ("leap", "baselines", "workflow"):
        shutil.copytree(ROOT / package, folder / package, ignore=shutil.ignore_patterns("*.pyc"))
    with pytest.MonkeyPatch.context() as patch:
        for module, name in ((code, "ROOT"), (recipe, "MINIATURES"), (recipe, "_TASKS")):
            patch.setattr(module, name, folder / getattr(module, name).relative_to(ROOT))
        yield folder
    forget()


def forget() -> None:
    """Have the code read again."""
    for cached in (code._file, code._read, code._fingerprint):
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
        makes = {"leap": "train", "elsa": "train_weights"}.get(method, "prune")
        found[makes, method] = known.masks(cell)
        if method == "leap":
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


@pytest.mark.parametrize("file", EDITS)
def test_an_edit_changes_the_recipes_of_the_jobs_that_it_concerns(copy, settings, before, file):
    whole = (copy / file).read_text()
    (copy / file).write_text(f"{whole}\nEDITED = True\n")
    try:
        assert changed(before, recipes(settings)) == EDITS[file]
    finally:
        (copy / file).write_text(whole)


def test_comments_docstrings_and_formatting_change_no_recipe(copy, settings, before):
    files = [
        file
        for package in ("leap", "baselines", "workflow/suite")
        for file in (copy / package).rglob("*.py")
    ]
    texts = {file: file.read_text() for file in files}
    for file, text in texts.items():
        summary, rest = text.split('"""', 2)[1:] if text.startswith('"""') else ("", text)
        file.write_text(f'"""{summary}, as it was."""\n\n\n# edited{rest}\n\n# edited\n')
    try:
        assert len(files) > 100 and recipes(settings) == before
    finally:
        for file, text in texts.items():
            file.write_text(text)


def test_the_data_of_a_miniature_count(copy, settings, before):
    """Weights that are tracked with the code."""
    file = copy / "workflow/suite/miniature/checkpoints" / MODEL / "model.safetensors"
    whole = file.read_bytes()
    file.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    try:
        found = changed(before, recipes(settings))
    finally:
        file.write_bytes(whole)
    assert found == {**cells(*METHODS, model={MODEL}, **MADE), **EVALUATED}
