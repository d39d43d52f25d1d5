"""What Snakemake says before any job starts. Nothing here computes."""

import os
import subprocess
import sys

import pytest

from tests.conftest import ROOT  # the copy is not needed: a dry run writes nothing

BAD = {
    "scale=smal": "scale: there is no 'smal'",
    "colour=red": "there is no setting 'colour'",
    "grid={sparsities: [0.5, 1.2]}": "grid.sparsities.1: 1.2 is out of range",
    "grid={methods: [wanda, wandb]}": "did you mean 'wanda'?",
    "hub_mirror=nowhere": "hub_mirror: there is no folder nowhere",
}


@pytest.mark.parametrize("setting", BAD)
def test_bad_settings_end_in_one_readable_error(setting, snakemake):
    process = snakemake(ROOT, "--dry-run", "--config", setting)
    text = process.stdout + process.stderr
    assert process.returncode != 0
    assert BAD[setting] in text
    assert "Traceback" not in text


def test_a_mirror_in_the_environment_is_checked_like_the_setting(snakemake):
    process = snakemake(ROOT, "--dry-run", HUB_MIRROR="nowhere")
    assert "hub_mirror: there is no folder nowhere" in process.stdout + process.stderr


def test_reconstructions_wait_for_the_masks_and_weights_that_they_start_from(snakemake):
    grid = "grid={methods: [admm-reconstruct, leap-reconstruct], models: [mini-llama-3.2-1b]}"
    process = snakemake(ROOT, "--dry-run", "--config", "scale=smoke", "run=planned", grid)
    text = process.stdout + process.stderr
    assert process.returncode == 0, text[-3000:]
    # both, ADMM, and Wanda, whose masks LEAP starts from
    for rule, jobs in {"prune": 4, "train": 1, "harden": 2, "evaluate": 3}.items():
        assert any(line.split() == [rule, str(jobs)] for line in text.splitlines()), rule
    reasons = {
        source: text.split(f"to 0.5 with {source}-reconstruct\n")[1].split("\n")[0]
        for source in ("admm", "leap")
    }
    for source, reason in reasons.items():
        place = f"results/planned/pruned/mini-llama-3.2-1b/{source}/0.5"
        assert f"{place}/mask.safetensors" in reason
        assert (f"{place}/weights.safetensors" in reason) == (source == "admm")


# dense, six layer-wise methods and LEAP at two sparsities
PLANNED = {
    "workstation": {"model": 3, "prune": 48, "train": 6, "harden": 54, "evaluate": 57},
    "paper": {"model": 5, "prune": 80, "train": 10, "harden": 90, "evaluate": 95},
}


def test_learned_weights_go_the_way_of_a_layer_wise_methods(planned):
    """A training on the same text, no logits and no selection; LEAP's masks are as without it."""
    settings = ("scale=smoke", "run=planned-only", "grid={methods: [wanda, leap, elsa]}")
    jobs = planned(ROOT, *settings)
    assert jobs["train"] == jobs["binarise"] == jobs["train_weights"] == jobs["prune"] == 2
    assert jobs["harden"] == 6 and jobs["evaluate"] == 8
    alone = planned(ROOT, *settings[:2], "grid={methods: [elsa]}")
    assert alone["train_weights"] == 2 and not {"train", "binarise", "prune"} & alone.keys()


def test_settings_of_learned_weights_are_searched_by_a_target_of_their_own(snakemake):
    search = ("elsa_search", "--dry-run", "--config", "scale=mini", "run=planned-only")
    process = snakemake(ROOT, *search)
    text = process.stdout + process.stderr
    assert process.returncode == 0, text[-3000:]
    found = {line.split()[0]: int(line.split()[1]) for line in text.splitlines()
             if line.startswith(("train", "validate", "elsa_search", "leap_search"))
             and len(line.split()) == 2}  # fmt: skip
    assert found == {"train_weights": 22, "validate": 22, "elsa_search": 1}


@pytest.mark.parametrize("scale", PLANNED)
def test_a_grid_for_gpus_is_planned_without_torch_gpu_or_network(tmp_path, scale):
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
        [*command, "--config", f"scale={scale}"],
        cwd=ROOT, capture_output=True, text=True, env=environment,
    )  # fmt: skip
    text = process.stdout + process.stderr
    assert process.returncode == 0, text[-3000:]
    for rule, jobs in PLANNED[scale].items():
        assert any(line.split() == [rule, str(jobs)] for line in text.splitlines()), rule


def test_studies_are_planned_beside_the_grid_and_share_their_cells(snakemake):
    """Of each model: dense, 8 methods of the allocation, 13 more amounts of text, 3 at 0.5."""
    methods = (
        "opponents={methods: [admm, alps, leap]}",
        "tokens={calibrated: {methods: [admm, alps]}, trained: {methods: [leap]}}",
    )
    targets = ("allocation", "opponents", "tokens")
    process = snakemake(ROOT, "--dry-run", *targets, "--config", "run=nothing-yet", *methods)
    text = process.stdout + process.stderr
    assert process.returncode == 0, text[-3000:]
    # wanda is pruned at 0.5 as well, since LEAP starts from it
    wanted = {"prune": 2 * 18, "train": 2 * 7, "evaluate": 2 * 25, "tracking": 3}
    wanted |= {"comparison_table": 2, "token_table": 1, "figure_tokens": 1}
    lines = [line.split() for line in text.splitlines()]
    for rule, jobs in wanted.items():
        assert [rule, str(jobs)] in lines, rule
