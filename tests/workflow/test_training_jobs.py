"""LEAP's job in the DAG: terminated and taken up again, and shared by two processes."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

pytestmark = pytest.mark.heavy

MODEL = "mini-llama-3.2-1b"
CELL = f"{MODEL}/leap/0.5"
TARGET = f"results/smoke/pruned/{CELL}/logits.safetensors"
SETTINGS = ("--config", "scale=smoke", "methods={leap: {steps: 60, sequences_per_draw: 4}}")


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory, begun_run, snakemake) -> Path:
    """A copy of the suite in which one training has run through."""
    place = tmp_path_factory.mktemp("training") / "suite"
    copy = begun_run(place, "world", "models", "corpora", f"pruned/{MODEL}/wanda")
    process = snakemake(copy, TARGET, *SETTINGS)
    assert process.returncode == 0, process.stderr[-5000:]
    return copy


def again(copy: Path) -> dict[str, torch.Tensor]:
    """The first result, out of the way of the next, as its journal, which tells of the job."""
    first = load_file(copy / TARGET)
    (copy / TARGET).unlink()
    (copy / f"results/smoke/journals/train/{CELL}.jsonl").unlink()
    return first


def start(copy: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "snakemake", "--cores", "2", TARGET, *SETTINGS],
        cwd=copy, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip


def job_at_work(copy: Path) -> int:
    """Process id of the training, once its journal has a step."""
    journal = copy / f"results/smoke/journals/train/{CELL}.jsonl"
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        if journal.is_file() and '"step": 5' in journal.read_text():
            for entry in Path("/proc").glob("[0-9]*/cmdline"):
                try:
                    line = entry.read_text()
                    where = os.readlink(entry.parent / "cwd")
                except OSError:
                    continue
                if "train.py" in line and where == str(copy):
                    return int(entry.parent.name)
        time.sleep(0.05)
    raise AssertionError("the training did not begin")


def test_a_terminated_training_goes_on_where_it_was_and_ends_in_the_same_bits(undisturbed):
    first = again(undisturbed)
    run = start(undisturbed)
    os.kill(job_at_work(undisturbed), signal.SIGTERM)
    assert run.wait(timeout=120) != 0
    assert not (undisturbed / TARGET).exists()
    states = sorted((undisturbed / f"results/smoke/training/{CELL}").iterdir())
    begun = int(states[-1].name.split(".")[0].removeprefix("step-"))
    assert 0 < begun < 60
    finished = start(undisturbed)
    output, _ = finished.communicate(timeout=300)
    assert finished.returncode == 0, output[-3000:]
    second = load_file(undisturbed / TARGET)
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert not (undisturbed / f"results/smoke/training/{CELL}").exists()
    # the journal has every step, those before the interruption too
    lines = (undisturbed / f"results/smoke/journals/train/{CELL}.jsonl").read_text().splitlines()
    steps = [
        event["step"] for event in map(json.loads, lines) if "lm_loss" in event.get("values", {})
    ]
    assert steps == list(range(60))


def test_the_state_of_other_settings_is_refused_by_name(undisturbed, snakemake):
    again(undisturbed)
    run = start(undisturbed)
    os.kill(job_at_work(undisturbed), signal.SIGTERM)
    run.wait(timeout=120)
    other = (*SETTINGS[:2], "methods={leap: {steps: 61, sequences_per_draw: 4}}")
    process = snakemake(undisturbed, TARGET, *other)
    text = process.stdout + process.stderr
    assert process.returncode != 0
    assert f"results/smoke/training/{CELL} holds the unfinished training of other settings" in text
    assert "Traceback" not in text
    assert snakemake(undisturbed, TARGET, *SETTINGS).returncode == 0


def test_two_processes_give_what_one_gives(undisturbed, snakemake, tmp_path):
    first = again(undisturbed)
    # devices in name only, which the launcher leases for both; the processes talk over gloo
    two = (*SETTINGS, "resources={train: {gpu: 2}}")
    devices = {"CUDA_VISIBLE_DEVICES": "0,1", "TMPDIR": str(tmp_path)}
    process = snakemake(undisturbed, TARGET, *two, **devices)
    assert process.returncode == 0, process.stderr[-3000:]
    for rank in ("", ".1"):
        log = undisturbed / f"results/smoke/logs/train/{CELL}.log{rank}"
        assert "on GPU 0,1\n" in log.read_text()
    report = json.loads((undisturbed / TARGET).with_name("training.json").read_text())
    assert report["processes"] == 2
    second = load_file(undisturbed / TARGET)
    assert max(float((first[n] - second[n]).abs().max()) for n in first) < 1e-5
