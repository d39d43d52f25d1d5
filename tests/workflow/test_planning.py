"""What Snakemake says before any job starts. Nothing here computes."""

import os
import re
import subprocess
import sys

import pytest

from suite.plan.cell import DENSE
from suite.plan.config import load
from suite.plan.grid import cells
from suite.plan.methods import methods_that_are
from tests.conftest import ROOT  # the copy is not needed: a dry run writes nothing


def test_bad_settings_end_in_one_readable_error(snakemake):
    """What is said of each is in tests/unit/plan; here, that it reaches the user whole.

    A mirror in the environment is checked like the setting.
    """
    bad = "grid={methods: [wanda, wandb], models: [mini-lama-3.2-1b]}"
    process = snakemake(ROOT, "--dry-run", "--config", bad, HUB_MIRROR="nowhere")
    text = process.stdout + process.stderr
    assert process.returncode != 0
    assert "'wandb' has no settings" in text and "did you mean 'wanda'?" in text
    assert "grid.models: there is no model 'mini-lama-3.2-1b'" in text
    assert "hub_mirror: there is no folder nowhere" in text
    assert "Traceback" not in text and "suite/plan" not in text, "no frames of the code"


def test_a_task_that_lm_eval_does_not_have_is_one_line(snakemake):
    task = "evaluation={tasks: {swag: {task: helaswag, dataset: a/b, limit: 0}}}"
    process = snakemake(ROOT, "--dry-run", "--config", "scale=laptop", task)
    text = process.stdout + process.stderr
    assert process.returncode != 0
    assert "evaluation.tasks.swag.task: lm-eval has no task or group 'helaswag'" in text
    assert "did you mean hellaswag, " in text and "Traceback" not in text


def test_a_target_whose_corpus_the_scale_lacks_names_the_setting(snakemake):
    target = "results/smoke/validation/mini-llama-3.2-1b/wanda/0.5.json"
    process = snakemake(ROOT, "--dry-run", target, "--config", "scale=smoke")
    text = process.stdout + process.stderr
    assert process.returncode != 0
    assert "corpora.validation: scale smoke has no such corpus; add it under corpora" in text
    assert "KeyError" not in text


def test_studies_that_there_are_not_or_cannot_be_are_said(snakemake):
    grid = "grid: {models: [mini-llama-3.2-1b], methods: [wanda], sparsities: [0.5], seeds: [0]}"
    page, both = f"page: {{table: main, {grid}}}", ("--config", "scale=smoke")
    for arguments, said in (
        (["patterns", *both], "patterns: scale smoke has none; use mini, or write a section"),
        ([*both, f"studies={{{page}}}"], "studies.page: the name is taken; use another"),
    ):
        process = snakemake(ROOT, "--dry-run", *arguments)
        assert process.returncode != 0
        assert said in process.stdout + process.stderr


@pytest.fixture(scope="module")
def dry_run(snakemake):
    """What a dry run says that succeeds."""

    def run(*arguments: str) -> str:
        process = snakemake(ROOT, "--dry-run", *arguments)
        text = process.stdout + process.stderr
        assert process.returncode == 0, text[-3000:]
        return text

    return run


@pytest.fixture(scope="module")
def every_kind(dry_run) -> str:
    """A plan of one model for learned masks, learned weights and reconstructions."""
    grid = "methods: [wanda, leap, elsa, admm-reconstruct, leap-reconstruct]"
    only = f"grid={{models: [mini-llama-3.2-1b], {grid}}}"
    return dry_run("--config", "scale=smoke", "run=planned", only)


def made_for(text: str, message: str) -> set[str]:
    """Results below the model's folder of each kind that a job with this message waits for."""
    (reason,) = re.findall(rf"{message}\nReason: .*Input files updated by another job: (.*)", text)
    return {file.removeprefix("results/planned/") for file in reason.split(", ")}


def test_every_kind_of_method_has_its_jobs(every_kind, counted):
    """Wanda and ADMM are pruned once, for LEAP and their own cells or the reconstructions."""
    jobs = counted(every_kind)
    wanted = {"prune": 4, "train": 1, "binarise": 1, "train_weights": 1, "harden": 5, "evaluate": 6}
    assert wanted.items() <= jobs.items()


def test_reconstructions_wait_for_the_masks_and_weights_that_they_start_from(every_kind):
    for source in ("admm", "leap"):
        place = f"pruned/mini-llama-3.2-1b/{source}/0.5"
        found = made_for(every_kind, f"Pruning \\S+ to 0.5 with {source}-reconstruct")
        assert f"{place}/mask.safetensors" in found
        # a learned mask comes with no weights
        assert (f"{place}/weights.safetensors" in found) == (source == "admm")


def test_learned_weights_need_text_and_go_the_way_of_a_layer_wise_methods(every_kind):
    """No masks of another method, no logits and no selection."""
    model = "mini-llama-3.2-1b"
    start = {f"models/{model}/model.json"}
    learned = made_for(every_kind, "Learning weights of \\S+ at 0.5 with elsa")
    assert learned == {*start, f"corpora/{model}/training.safetensors"}
    left = {
        method: {f"pruned/{model}/{method}/0.5/{name}" for name in names}
        for method, names in {
            "elsa": ("mask.safetensors", "weights.safetensors", "pruning.json"),
            "wanda": ("mask.safetensors", "weights.safetensors", "pruning.json"),
            "leap": ("mask.safetensors", "choice.json", "training.json"),
        }.items()
    }
    for method, files in left.items():
        assert made_for(every_kind, f"Hardening \\S+, {method} at 0.5") == start | files


def test_studies_and_searches_are_planned_by_their_own_targets_and_share_cells(dry_run, counted):
    """Of each model: dense, 8 methods of the allocation, 13 more amounts of text, 3 at 0.5."""
    opponents = "opponents: {grid: {methods: [admm, alps, leap]}}"
    tokens = "tokens: {amounts: {calibrated: {methods: [admm, alps]}, trained: {methods: [leap]}}}"
    targets = ("allocation", "opponents", "tokens", "elsa_search")
    jobs = counted(
        dry_run(*targets, "--config", "run=planned", f"studies={{{opponents}, {tokens}}}")
    )
    # wanda is pruned at 0.5 as well, since LEAP starts from it
    wanted = {"prune": 2 * 18, "train": 2 * 7, "evaluate": 2 * 25, "tracking": 3}
    wanted |= {"collect": 4, "tables": True, "figures": True}
    # settings of learned weights, compared on validation text
    wanted |= {"train_weights": 22, "validate": 22, "elsa_search": 1}
    assert wanted.items() <= jobs.items()
    assert "leap_search" not in jobs


# dense, eight layer-wise methods and LEAP at two sparsities
PLANNED = {
    "workstation": {"model": 3, "prune": 48, "train": 6, "harden": 54, "evaluate": 57},
    "paper": {"model": 5, "prune": 80, "train": 10, "harden": 90, "evaluate": 95},
}


@pytest.mark.parametrize("scale", PLANNED)
def test_a_grid_for_gpus_has_its_cells(scale):
    settings = load({"scale": scale, "hub_mirror": ""})
    found, trained = cells(settings), methods_that_are("trained", settings)
    pruned = [cell for cell in found if cell.method != DENSE]
    learned = [cell for cell in pruned if cell.method in trained]
    assert PLANNED[scale] == {
        "model": len({cell.model for cell in found}), "prune": len(pruned) - len(learned),
        "train": len(learned), "harden": len(pruned), "evaluate": len(found),
    }  # fmt: skip


def test_the_papers_grid_is_planned_without_torch_gpu_or_network(tmp_path, counted):
    """Torch is replaced by a module that fails, and no proxy leads anywhere."""
    (tmp_path / "torch.py").write_text("raise RuntimeError('planning imports torch')")
    environment = {
        **os.environ,
        "PYTHONPATH": str(tmp_path),
        "HTTPS_PROXY": "http://127.0.0.1:9",
        "HTTP_PROXY": "http://127.0.0.1:9",
    }
    command = [sys.executable, "-m", "snakemake", "--cores", "1", "--dry-run"]
    process = subprocess.run(
        [*command, "--config", "scale=paper"],
        cwd=ROOT, capture_output=True, text=True, env=environment,
    )  # fmt: skip
    text = process.stdout + process.stderr
    assert process.returncode == 0, text[-3000:]
    assert PLANNED["paper"].items() <= counted(text).items()
