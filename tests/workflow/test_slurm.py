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
MODEL = "mini-llama-3.2-1b"
CELL = f"{MODEL}/leap/0.5"
LOGITS = f"results/smoke/pruned/{CELL}/logits.safetensors"
MASK = f"results/smoke/pruned/{MODEL}/wanda/0.5/mask.safetensors"
SECONDS = 110  # of a training that Slurm is to kill: it looks every 30 s for jobs past their minute


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
def suite(cluster, tmp_path_factory, begun_run) -> Path:
    """A copy of the suite, to which all these runs belong."""
    return begun_run(tmp_path_factory.mktemp("slurm") / "suite", "world")


def command(*arguments: str) -> list[str]:
    """Snakemake with the profile, as at a site without accounting, and polls for short jobs."""
    return [
        sys.executable, "-m", "snakemake", "--profile", "profiles/slurm",
        "--slurm-status-command", "squeue", "--slurm-init-seconds-before-status-checks", "1",
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


def training(steps: int) -> str:
    """The setting of a training of so many small steps."""
    return f"methods={{leap: {{steps: {steps}, batch: 2, sequences_per_draw: 2}}}}"


def losses(suite: Path) -> list[dict]:
    """What the training's journal has of every step."""
    lines = (suite / f"results/smoke/journals/train/{CELL}.jsonl").read_text().splitlines()
    return [event for event in map(json.loads, lines) if "lm_loss" in event.get("values", {})]


def test_a_training_killed_by_its_time_limit_goes_on_and_ends_in_the_same_bits(
    suite, begun_run, tmp_path, snakemake
):
    copy = begun_run(tmp_path / "suite", "world", "models", "corpora", f"pruned/{MODEL}/wanda")
    # how many steps that are, depends on the machine
    assert snakemake(copy, LOGITS, "--config", "scale=smoke", training(200)).returncode == 0
    first, last = losses(copy)[50], losses(copy)[-1]
    pace = (last["time"] - first["time"]) / 1000 / (last["step"] - first["step"])
    steps = int(SECONDS / pace)
    settings = ("--config", "scale=smoke", training(steps))
    # beside it, the same training without Slurm
    undisturbed = subprocess.Popen(
        [sys.executable, "-m", "snakemake", "--cores", "1", LOGITS, *settings],
        cwd=copy, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    # killed at the limit itself: a minute is too short to be asked before
    limits = ("resources={train: {runtime: 1}}", "--retries", "9",
              "--set-resources", "train:slurm_extra=''")  # fmt: skip
    output = run(suite, LOGITS, *settings, *limits)
    assert submitted(output).count("train") >= 2, "the training was never killed"
    found = [event["step"] for event in losses(suite)]
    assert found == list(range(steps)), "a step is missing or was made twice"
    said, _ = undisturbed.communicate(timeout=600)
    assert undisturbed.returncode == 0, said[-3000:]
    ours, theirs = load_file(suite / LOGITS), load_file(copy / LOGITS)
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


SLOW_TO_SAVE = """
import signal, sys, time
from pathlib import Path

begun = time.monotonic()

def save(number, frame):
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    asked = time.monotonic() - begun
    time.sleep({seconds})
    Path("saved").write_text(str(asked))
    sys.exit(143)

signal.signal(signal.SIGTERM, save)
time.sleep(600)
"""
SLOW_RULE = """
rule train:
    output: "never"
    resources: mem_mb=300, runtime={minutes}
    script: "train.py"
"""


def test_a_training_is_asked_to_stop_in_time_to_save_more_than_killwait_allows(cluster, tmp_path):
    config = subprocess.check_output(["scontrol", "show", "config"], text=True)
    kill_wait = int(re.search(r"KillWait\s*= (\d+)", config)[1])
    profile = ROOT / "profiles/slurm"
    early = int(re.search(r"--signal=TERM@(\d+)", (profile / "config.yaml").read_text())[1])
    limit = early + 60
    (tmp_path / "train.py").write_text(SLOW_TO_SAVE.format(seconds=kill_wait + 10))
    (tmp_path / "Snakefile").write_text(SLOW_RULE.format(minutes=limit // 60))
    given = command("--retries", "0")
    given[given.index("profiles/slurm")] = str(profile)
    begun = time.monotonic()
    process = subprocess.run(given, cwd=tmp_path, capture_output=True, text=True)
    text = process.stdout + process.stderr
    assert (tmp_path / "saved").is_file(), text[-5000:]
    # Slurm looks every 30 s which jobs are so near to their end
    assert float((tmp_path / "saved").read_text()) < 70 < limit - kill_wait
    assert time.monotonic() - begun < early
    assert process.returncode != 0 and "never" in text


def test_a_job_out_of_memory_is_repeated_with_more(suite):
    (suite / MASK).unlink(missing_ok=True)
    output = run(suite, MASK, "--config", "scale=smoke", "resources={prune: {mem_mb: 400}}")
    ids = re.findall(r"jobid (\d+) \(log: \S+/rule_prune/", output)
    shown = [subprocess.check_output(["scontrol", "show", "job", i], text=True) for i in ids]
    assert "TRES=cpu=1,mem=400M" in shown[0] and "TRES=cpu=1,mem=800M" in shown[1]
    assert "JobState=COMPLETED" not in shown[0] and "JobState=COMPLETED" in shown[-1]


def test_the_smoke_scale_after_scancel(suite):
    arguments = ("--config", "scale=smoke", f"grid={{models: [{MODEL}]}}")
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
