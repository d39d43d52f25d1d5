"""Jobs that train, in the DAG: terminated and taken up again, and shared by two processes."""

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

pytestmark = pytest.mark.heavy

MODEL = "mini-llama-3.2-1b"
LENGTHS = "leap: {steps: 60, sequences_per_draw: 4}, elsa: {steps: 60}"
SETTINGS = ("--config", "scale=smoke", f"methods={{{LENGTHS}}}")


@dataclass(frozen=True)
class Trained:
    """A method, the script of its job, and the file of what it learned."""

    method: str
    script: str
    file: str

    @property
    def cell(self) -> str:
        return f"{MODEL}/{self.method}/0.5"

    @property
    def target(self) -> str:
        return f"results/smoke/pruned/{self.cell}/{self.file}"

    @property
    def journal(self) -> str:
        return f"results/smoke/journals/train/{self.cell}.jsonl"


LEAP = Trained("leap", "train.py", "logits.safetensors")
ELSA = Trained("elsa", "train_weights.py", "weights.safetensors")


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory, begun_run, snakemake) -> Path:
    """A copy of the suite in which both trainings have run through."""
    place = tmp_path_factory.mktemp("training") / "suite"
    copy = begun_run(place, "world", "models", "corpora", f"pruned/{MODEL}/wanda")
    process = snakemake(copy, LEAP.target, ELSA.target, *SETTINGS)
    assert process.returncode == 0, process.stderr[-5000:]
    return copy


def again(copy: Path, trained: Trained = LEAP) -> dict[str, torch.Tensor]:
    """The first result, out of the way of the next, as its journal, which tells of the job."""
    first = load_file(copy / trained.target)
    (copy / trained.target).unlink()
    (copy / trained.journal).unlink()
    return first


@pytest.fixture
def start(start_snakemake) -> Callable[..., subprocess.Popen[str]]:
    """Begin a training of these settings in a folder."""

    def start(copy: Path, trained: Trained = LEAP) -> subprocess.Popen[str]:
        return start_snakemake(copy, trained.target, *SETTINGS)

    return start


def job_at_work(copy: Path, trained: Trained = LEAP) -> int:
    """Process id of the training, once its journal has a step."""
    journal = copy / trained.journal
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        if journal.is_file() and '"step": 5' in journal.read_text():
            for entry in Path("/proc").glob("[0-9]*/cmdline"):
                try:
                    line = entry.read_text()
                    where = os.readlink(entry.parent / "cwd")
                except OSError:
                    continue
                if trained.script in line and where == str(copy):
                    return int(entry.parent.name)
        time.sleep(0.05)
    raise AssertionError("the training did not begin")


@pytest.mark.parametrize("trained", [LEAP, ELSA], ids=lambda trained: trained.method)
def test_a_terminated_training_goes_on_where_it_was_and_ends_in_the_same_bits(
    undisturbed, start, trained
):
    first = again(undisturbed, trained)
    run = start(undisturbed, trained)
    os.kill(job_at_work(undisturbed, trained), signal.SIGTERM)
    assert run.wait(timeout=120) != 0
    assert not (undisturbed / trained.target).exists()
    states = sorted((undisturbed / f"results/smoke/training/{trained.cell}").iterdir())
    begun = int(states[-1].name.split(".")[0].removeprefix("step-"))
    assert 0 < begun < 60
    finished = start(undisturbed, trained)
    _, errors = finished.communicate(timeout=300)
    assert finished.returncode == 0, errors[-3000:]
    second = load_file(undisturbed / trained.target)
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert not (undisturbed / f"results/smoke/training/{trained.cell}").exists()
    # the journal has every step, those before the interruption too
    events = [json.loads(line) for line in (undisturbed / trained.journal).read_text().splitlines()]
    steps = [event["step"] for event in events if "lm_loss" in event.get("values", {})]
    assert steps == list(range(60))


def test_the_state_of_other_settings_is_refused_by_name(undisturbed, start, snakemake):
    again(undisturbed)
    run = start(undisturbed)
    os.kill(job_at_work(undisturbed), signal.SIGTERM)
    run.wait(timeout=120)
    other = (*SETTINGS[:2], SETTINGS[2].replace("leap: {steps: 60", "leap: {steps: 61"))
    process = snakemake(undisturbed, LEAP.target, *other)
    text = process.stdout + process.stderr
    assert process.returncode != 0
    state = f"results/smoke/training/{LEAP.cell}"
    assert f"{state} holds the unfinished training of other settings" in text
    assert "Traceback" not in text
    assert snakemake(undisturbed, LEAP.target, *SETTINGS).returncode == 0


def test_two_processes_give_what_one_gives(undisturbed, snakemake, tmp_path):
    first = again(undisturbed)
    # devices in name only, which the launcher leases for both; the processes talk over gloo
    two = (*SETTINGS, "resources={train: {gpu: 2}}")
    devices = {"CUDA_VISIBLE_DEVICES": "0,1", "TMPDIR": str(tmp_path)}
    process = snakemake(undisturbed, LEAP.target, *two, **devices)
    assert process.returncode == 0, process.stderr[-3000:]
    for rank in ("", ".1"):
        log = undisturbed / f"results/smoke/logs/train/{LEAP.cell}.log{rank}"
        assert "on GPU 0,1\n" in log.read_text()
    report = json.loads((undisturbed / LEAP.target).with_name("training.json").read_text())
    assert report["processes"] == 2
    second = load_file(undisturbed / LEAP.target)
    assert max(float((first[n] - second[n]).abs().max()) for n in first) < 1e-5
