"""Scale smoke through a real Slurm: submitted jobs, limits, scancel."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Event

import pytest
import torch
from safetensors.torch import load_file

from tests.conftest import ROOT
from tests.workflow.held import wait_until

pytestmark = pytest.mark.slurm

PROFILE = ROOT / "profiles/slurm"
LOCAL_CLUSTER = Path(
    os.environ.get("TEST_SLURM_LOCAL", ROOT.parent / "shared" / "tools" / "slurm-local.sh")
)
# more than the machine has, so that the jobs of all tests run at the same time
NODE = {"SLURM_LOCAL_CPUS": "8", "SLURM_LOCAL_MEM_MB": "32000"}
MODEL = "mini-llama-3.2-1b"
CELL = f"{MODEL}/leap/0.5"
LOGITS = f"results/smoke/pruned/{CELL}/logits.safetensors"
JOURNAL = f"results/smoke/journals/train/{CELL}.jsonl"
MASK = f"results/smoke/pruned/{MODEL}/wanda/0.5/mask.safetensors"
BEGUN = ("world", "models", "corpora", f"pruned/{MODEL}/wanda")
STEPS = 60
LEAP = f"{{steps: {STEPS}, batch: 2, sequences_per_draw: 2}}"
TRAINING = ("--config", "scale=smoke", f"methods={{leap: {LEAP}}}")
# The plugin waits ten seconds longer after every look that finds nothing new, up to three minutes.
EAGER = """
from snakemake.cli import main
from snakemake_executor_plugin_slurm import Executor
Executor.next_seconds_between_status_checks = property(lambda it: 1, lambda it, seconds: None)
main()
"""


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
    started = subprocess.run(
        [LOCAL_CLUSTER, "up"], capture_output=True, text=True, env={**os.environ, **NODE}
    )
    if started.returncode:
        pytest.skip(f"Slurm cannot be started here: {started.stderr.strip()[-300:]}")
    yield
    subprocess.run([LOCAL_CLUSTER, "down"], check=True, capture_output=True)


@dataclass
class Run:
    """Snakemake at work in a folder, and the file of what it says."""

    process: subprocess.Popen[str]
    said: Path

    def end(self) -> str:
        """All that it said, once it has ended."""
        self.process.wait(timeout=600)
        return self.said.read_text()

    def succeed(self) -> str:
        output = self.end()
        assert self.process.returncode == 0, output[-5000:]
        return output


def start(folder: Path, *arguments: str) -> Run:
    """Start Snakemake with the profile, as at a site without accounting, polling for short jobs."""
    command = [
        sys.executable, "-c", EAGER, "--profile", str(PROFILE),
        "--slurm-status-command", "squeue", "--slurm-init-seconds-before-status-checks", "1",
        "--latency-wait", "10", *arguments,
    ]  # fmt: skip
    said = folder.parent / f"{folder.name}-{time.monotonic_ns()}.log"
    with open(said, "w") as file:
        return Run(subprocess.Popen(command, cwd=folder, stdout=file, stderr=file, text=True), said)


def submitted(output: str) -> list[tuple[str, str]]:
    """Rule and id of the jobs submitted to Slurm."""
    found = re.findall(r"submitted with SLURM jobid (\d+) \(log: \S+/rule_(\w+)/", output)
    return [(rule, job) for job, rule in found]


def described(job: str) -> str:
    """Slurm's record of a job, which may have ended."""
    return subprocess.check_output(["scontrol", "show", "job", job], text=True)


@pytest.fixture(scope="module")
def at_once(cluster, begun_run, tmp_path_factory) -> Iterator[dict[str, Future]]:
    """All runs of the tests, at the same time, since Slurm's limits mean waiting."""

    def suite(name: str, *begun: str) -> Path:
        return begun_run(tmp_path_factory.mktemp(name) / "suite", *begun)

    stopped = Event()
    with ThreadPoolExecutor() as pool:
        runs = {
            "limit": pool.submit(exceed_the_limit, suite("limit", *BEGUN), stopped),
            "asked": pool.submit(save_slowly, tmp_path_factory.mktemp("asked")),
        }
        # once the training with a limit of a minute computes no longer
        stopped.wait(timeout=300)
        runs["memory"] = pool.submit(exceed_the_memory, suite("memory", "world"))
        runs["cancel"] = pool.submit(cancel_and_finish, suite("cancel", *BEGUN[:3]))
        yield runs


def exceed_the_limit(suite: Path, stopped: Event) -> tuple[Path, str]:
    """Stop a training in the middle until Slurm kills it at its limit.

    A minute is too short for the signal that asks it to end before.
    """
    limits = ("resources={train: {runtime: 1}}", "--retries", "9",
              "--set-resources", "train:slurm_extra=''")  # fmt: skip
    run = start(suite, LOGITS, *TRAINING, *limits)
    for pid in training_at_work(suite):
        os.kill(pid, signal.SIGSTOP)
    stopped.set()
    return suite, run.succeed()


def training_at_work(suite: Path) -> list[int]:
    """Process ids of the training's script and its shell, once its journal has some steps."""
    journal = suite / JOURNAL
    wait_until(lambda: journal.is_file() and '"step": 5' in journal.read_text(), 300)
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it has ended
            if (
                os.readlink(entry / "cwd") == str(suite)
                and ".train.py" in (entry / "cmdline").read_text()
            ):
                found.append(int(entry.name))
    return found


def test_a_training_killed_by_its_time_limit_resumes_and_ends_in_the_same_bits(
    at_once, begun_run, tmp_path, succeed
):
    copy = begun_run(tmp_path / "suite", *BEGUN)
    succeed(copy, LOGITS, *TRAINING)
    suite, output = at_once["limit"].result()
    killed, *others = [job for rule, job in submitted(output) if rule == "train"]
    assert others and "JobState=TIMEOUT" in described(killed), "the training was never killed"
    events = [json.loads(line) for line in (suite / JOURNAL).read_text().splitlines()]
    found = [event["step"] for event in events if "lm_loss" in event.get("values", {})]
    assert found == list(range(STEPS)), "a step is missing or was made twice"
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


EARLY = int(re.search(r"--signal=TERM@(\d+)", (PROFILE / "config.yaml").read_text())[1])
LIMIT = EARLY + 60


def kill_wait() -> int:
    """Seconds between the signal to end and the one that kills."""
    config = subprocess.check_output(["scontrol", "show", "config"], text=True)
    return int(re.search(r"KillWait\s*= (\d+)", config)[1])


def save_slowly(folder: Path) -> tuple[Run, float, float]:
    """A training that takes longer to save than KillWait; seconds until the signal and its end."""
    (folder / "train.py").write_text(SLOW_TO_SAVE.format(seconds=kill_wait() + 10))
    (folder / "Snakefile").write_text(SLOW_RULE.format(minutes=LIMIT // 60))
    begun = time.monotonic()
    run = start(folder, "--retries", "0")
    output = run.end()
    ended = time.monotonic() - begun
    assert (folder / "saved").is_file(), output[-5000:]
    return run, float((folder / "saved").read_text()), ended


def test_a_training_is_asked_to_stop_in_time_to_save_more_than_killwait_allows(at_once):
    run, asked, ended = at_once["asked"].result()
    # Slurm looks every 30 s which jobs are so near to their end
    assert asked < 70 < LIMIT - kill_wait()
    assert ended < EARLY
    assert run.process.returncode != 0 and "never" in run.end()


def exceed_the_memory(suite: Path) -> str:
    limit = "resources={prune: {mem_mb: 400}}"
    return start(suite, MASK, "--config", "scale=smoke", limit).succeed()


def test_a_job_out_of_memory_is_repeated_with_more(at_once):
    output = at_once["memory"].result()
    shown = [described(job) for rule, job in submitted(output) if rule == "prune"]
    assert "TRES=cpu=1,mem=400M" in shown[0] and "TRES=cpu=1,mem=800M" in shown[1]
    assert "JobState=COMPLETED" not in shown[0] and "JobState=COMPLETED" in shown[-1]


def cancel_and_finish(suite: Path) -> tuple[Path, list[Run]]:
    """Cancel all jobs of a run while they compute, then run twice more."""
    arguments = ("--config", "scale=smoke", f"grid={{models: [{MODEL}], methods: [wanda, leap]}}")
    first = start(suite, *arguments, "--retries", "0")

    def jobs(*options: str) -> list[str]:
        """Ids of this folder's jobs in the queue."""
        command = ["squeue", "-h", "-o", "%A %Z", *options]
        lines = subprocess.run(command, capture_output=True, text=True).stdout.splitlines()
        return [line.split()[0] for line in lines if line.endswith(f" {suite}")]

    wait_until(lambda: jobs("--states=RUNNING"), 200)
    time.sleep(3)  # until they compute
    subprocess.run(["scancel", *jobs()], check=True)
    first.end()
    second = start(suite, *arguments)
    second.succeed()
    third = start(suite, *arguments)
    third.succeed()
    return suite, [first, second, third]


def test_the_smoke_scale_after_scancel(at_once):
    suite, (first, second, third) = at_once["cancel"].result()
    assert first.process.returncode != 0, first.end()[-3000:]
    jobs = {rule for rule, _ in submitted(first.end() + second.end())}
    assert {"prune", "harden", "evaluate", "train", "binarise"} <= jobs
    assert not {"all", "collect", "table_main", "page", "tracking", "figure_gain"} & jobs
    assert (suite / "results/smoke/report.html").is_file()
    assert "Nothing to be done" in third.end()
