"""Jobs that train, in the DAG: terminated and taken up again, and shared by two processes."""

import json
import os
import shutil
import signal
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from tests.workflow.held import wait_until

pytestmark = pytest.mark.heavy

MODEL, OTHER = "mini-llama-3.2-1b", "mini-qwen-2.5-0.5b"
STEPS = {"leap": 20, "elsa": 60}
# LEAP undisturbed is in the smoke run; others that are compared have the same settings, and names
# of their own
SMALL = "{like: leap, steps: 10, sequences_per_draw: 4}"
COMPARED = f"elsa-undisturbed: {{like: elsa}}, in-one-process: {SMALL}, in-two: {SMALL}"
SETTINGS = ("--config", "scale=smoke", f"methods={{elsa: {{steps: 60}}, {COMPARED}}}")


@dataclass(frozen=True)
class Trained:
    """A method, and the file of what it learned."""

    method: str
    file: str

    @property
    def cell(self) -> str:
        return f"{MODEL}/{self.method}/0.5"

    @property
    def target(self) -> str:
        return f"results/smoke/pruned/{self.cell}/{self.file}"

    @property
    def state(self) -> str:
        return f"results/smoke/training/{self.cell}"

    @property
    def journal(self) -> str:
        return f"results/smoke/journals/train/{self.cell}.jsonl"


LEAP = Trained("leap", "logits.safetensors")
ELSA = Trained("elsa", "weights.safetensors")
UNDISTURBED = Trained("elsa-undisturbed", "weights.safetensors")
BOTH = (LEAP, ELSA)
IN_ONE, IN_TWO = (
    f"results/smoke/pruned/{OTHER}/{method}/0.5/logits.safetensors"
    for method in ("in-one-process", "in-two")
)


def job_of(copy: Path, trained: Trained) -> int | None:
    """Process id of the training: what has its journal open."""
    for descriptor in Path("/proc").glob("[0-9]*/fd/*"):
        try:
            if os.readlink(descriptor) == str(copy / trained.journal):
                return int(descriptor.parts[2])
        except OSError:
            continue
    return None


def steps_of(journal: Path) -> dict[int, float]:
    """The seconds that each step took, as the journal has them until now."""
    whole = [line for line in journal.read_text().splitlines(keepends=True) if line.endswith("\n")]
    events = [json.loads(line) for line in whole]
    return {e["step"]: e["values"]["seconds"] for e in events if "lm_loss" in e.get("values", {})}


@pytest.fixture(scope="module")
def interrupted(tmp_path_factory, begun_run, start_snakemake) -> Path:
    """A copy of the suite in which both trainings were terminated after some steps.

    Another model was trained in one process. The journals of both until then, which Snakemake
    deletes, lie beside it.
    """
    place = tmp_path_factory.mktemp("training") / "suite"
    starts = [f"pruned/{model}/wanda" for model in (MODEL, OTHER)]
    copy = begun_run(place, "world", "models", "corpora", *starts)
    targets = (LEAP.target, ELSA.target, IN_ONE, "--keep-going")
    run = start_snakemake(copy, *targets, *SETTINGS, CUDA_VISIBLE_DEVICES="")
    waiting = set(BOTH)

    def all_terminated() -> bool:
        for trained in [*waiting]:
            journal = copy / trained.journal
            job = job_of(copy, trained) if journal.is_file() else None
            if job and len(steps_of(journal)) > 3:
                shutil.copy(journal, copy.parent / trained.method)
                os.kill(job, signal.SIGTERM)
                waiting.remove(trained)
        return not waiting

    wait_until(all_terminated)
    run.communicate(timeout=120)
    assert run.returncode != 0
    for trained in BOTH:
        assert not (copy / trained.target).exists()
        newest = max(file.name for file in (copy / trained.state).iterdir())
        step = int(newest.split(".")[0].removeprefix("step-"))
        assert 0 < step < STEPS[trained.method]
    return copy


@pytest.fixture(scope="module")
def finished(interrupted, tmp_path_factory, succeed) -> Path:
    """The copy after another run, which trains another model in two processes.

    They have devices in name only, which the launcher leases for both, and talk over gloo.
    """
    two = f"models={{{OTHER}: {{resources: {{train: {{gpu: 2}}}}}}}}"
    targets = (LEAP.target, ELSA.target, UNDISTURBED.target, IN_TWO)
    devices = {"CUDA_VISIBLE_DEVICES": "0,1", "TMPDIR": str(tmp_path_factory.mktemp("devices"))}
    succeed(interrupted, *targets, *SETTINGS, two, **devices)
    return interrupted


@pytest.mark.parametrize("trained", BOTH, ids=lambda trained: trained.method)
def test_a_terminated_training_goes_on_where_it_was_and_ends_in_the_same_bits(
    finished, smoke_run, trained
):
    reference = smoke_run / LEAP.target if trained == LEAP else finished / UNDISTURBED.target
    first, second = load_file(reference), load_file(finished / trained.target)
    assert first.keys() == second.keys()
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert not (finished / trained.state).exists()
    # the journal has every step; those before the interruption were not made again
    steps, before = steps_of(finished / trained.journal), steps_of(finished.parent / trained.method)
    assert list(steps) == list(range(STEPS[trained.method]))
    assert len(before) > 3 and before == {step: steps[step] for step in before}


def test_two_processes_give_what_one_gives(finished):
    for rank in ("", ".1"):
        log = finished / f"results/smoke/logs/train/{OTHER}/in-two/0.5.log{rank}"
        assert "on GPU 0,1\n" in log.read_text()
    report = json.loads((finished / IN_TWO).with_name("training.json").read_text())
    assert report["processes"] == 2
    first, second = load_file(finished / IN_ONE), load_file(finished / IN_TWO)
    assert max(float((first[n] - second[n]).abs().max()) for n in first) < 1e-5
