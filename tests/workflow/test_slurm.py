"""Scale smoke through a real Slurm: which jobs go there, and what limits and scancel do to them."""

import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

pytestmark = pytest.mark.slurm

ROOT = Path(__file__).parents[2]
LOCAL_CLUSTER = Path(
    os.environ.get("TEST_SLURM_LOCAL", ROOT.parent / "shared" / "tools" / "slurm-local.sh")
)
CELL = "mini-llama-3.2-1b/leap/0.5"
LOGITS = f"results/smoke/pruned/{CELL}/logits.safetensors"
MASK = "results/smoke/pruned/mini-llama-3.2-1b/wanda/0.5/mask.safetensors"
LONG = "methods={leap: {steps: 4000, batch: 2, micro_batch: 2}}"


@pytest.fixture(scope="module")
def cluster() -> Iterator[None]:
    """A Slurm without accounting: the machine's own, or a throw-away one."""
    if shutil.which("sinfo") and subprocess.run(["sinfo", "-h"], capture_output=True).stdout:
        yield
        return
    if not LOCAL_CLUSTER.is_file() or os.geteuid() != 0:
        pytest.skip(
            "no Slurm answers here, and none can be started: that takes root and the script that "
            "TEST_SLURM_LOCAL names"
        )
    started = subprocess.run([LOCAL_CLUSTER, "up"], capture_output=True, text=True)
    if started.returncode:
        pytest.skip(f"Slurm cannot be started here: {started.stderr.strip()[-300:]}")
    yield
    subprocess.run([LOCAL_CLUSTER, "down"], check=True, capture_output=True)


@pytest.fixture(scope="module")
def suite(cluster, tmp_path_factory, copy_suite) -> Path:
    """A copy of the suite, to which all these runs belong."""
    return copy_suite(tmp_path_factory.mktemp("slurm") / "suite")


def command(*arguments: str) -> list[str]:
    """Snakemake with the profile, as at a site without accounting, and polls for short jobs."""
    return [
        sys.executable, "-m", "snakemake", "--profile", "profiles/slurm",
        "--slurm-status-command", "squeue", "--slurm-init-seconds-before-status-checks", "5",
        "--latency-wait", "10", *arguments,
    ]  # fmt: skip


def run(suite: Path, *arguments: str) -> str:
    """Everything that a run says, which has to succeed."""
    process = subprocess.run(command(*arguments), cwd=suite, capture_output=True, text=True)
    output = process.stdout + process.stderr
    assert process.returncode == 0, output[-5000:]
    return output


def submitted(output: str) -> list[str]:
    """The rules whose jobs went to Slurm, one entry a job."""
    return re.findall(r"submitted with SLURM jobid \d+ \(log: \S+/rule_(\w+)/", output)


def test_a_training_killed_by_its_time_limit_goes_on_and_ends_in_the_same_bits(suite, snakemake):
    limits = ("--retries", "9")  # how many minutes it takes depends on the machine
    settings = ("--config", "scale=smoke", LONG, "resources={train: {runtime: 1}}")
    output = run(suite, LOGITS, *limits, *settings)
    assert submitted(output).count("train") >= 2, "the training was never killed"
    journal = suite / f"results/smoke/journals/train/{CELL}.jsonl"
    events = [json.loads(line) for line in journal.read_text().splitlines()]
    steps = [event["step"] for event in events if "lm_loss" in event.get("values", {})]
    assert steps == sorted(set(steps)) and steps[-1] == 3999, "a step is missing or was made twice"
    by_slurm = load_file(suite / LOGITS)
    (suite / LOGITS).unlink()
    undisturbed = snakemake(suite, LOGITS, "--config", "scale=smoke", LONG)
    assert undisturbed.returncode == 0, undisturbed.stderr[-3000:]
    again = load_file(suite / LOGITS)
    assert all(torch.equal(by_slurm[name], again[name]) for name in again)


def test_a_job_out_of_memory_is_repeated_with_more(suite):
    (suite / MASK).unlink(missing_ok=True)
    output = run(suite, MASK, "--config", "scale=smoke", "resources={prune: {mem_mb: 400}}")
    ids = re.findall(r"jobid (\d+) \(log: \S+/rule_prune/", output)
    shown = [subprocess.check_output(["scontrol", "show", "job", i], text=True) for i in ids]
    assert "TRES=cpu=1,mem=400M" in shown[0] and "TRES=cpu=1,mem=800M" in shown[1]
    assert "JobState=COMPLETED" not in shown[0] and "JobState=COMPLETED" in shown[-1]


def test_the_smoke_scale_after_scancel(suite):
    arguments = ("--config", "scale=smoke", "grid={models: [mini-llama-3.2-1b]}")
    first = subprocess.Popen(
        command(*arguments, "--retries", "0"), cwd=suite, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    deadline = time.monotonic() + 200
    while not (running := squeue("--states=RUNNING")) and time.monotonic() < deadline:
        time.sleep(0.2)
    assert running, "no job ever ran"
    time.sleep(3)  # let them get to work
    subprocess.run(["scancel", *squeue()], check=True)
    output, _ = first.communicate(timeout=300)
    assert first.returncode != 0, output[-3000:]

    second = run(suite, *arguments)
    jobs = set(submitted(output) + submitted(second))
    assert {"prune", "harden", "evaluate", "train", "binarise"} <= jobs
    assert not {"all", "tables", "page", "tracking", "figure_quality", "figure_gain"} & jobs
    assert (suite / "results/smoke/report.html").is_file()
    assert "Nothing to be done" in run(suite, *arguments)


def squeue(*options: str) -> list[str]:
    """Ids of the jobs in the queue."""
    found = subprocess.run(["squeue", "-h", "-o", "%A", *options], capture_output=True, text=True)
    return found.stdout.split()
