"""Runs with the warm worker: results are those without it, and nothing is left behind."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

pytestmark = [
    pytest.mark.heavy,
    pytest.mark.skipif(sys.platform != "linux", reason="the worker is for Linux"),
]

MODEL = "mini-llama-3.2-1b"
CELL = f"{MODEL}/leap/0.5"
TARGET = f"results/smoke/pruned/{CELL}/logits.safetensors"
SMOKE = ("--config", "scale=smoke")
DATA = ("world", "models", "corpora")
# one cell, of a training that takes some seconds
LONG = (*SMOKE, f"grid={{models: [{MODEL}], methods: [leap]}}", "methods={leap: {steps: 100}}")


def commands() -> dict[int, tuple[str, str]]:
    """Folder and command of every living process."""
    found = {}
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            line = (entry / "cmdline").read_text().replace("\0", " ")
            found[int(entry.name)] = (os.readlink(entry / "cwd"), line)
        except OSError:
            continue
    return {pid: (where, line) for pid, (where, line) in found.items() if line}


def processes(folder: Path, part: str) -> list[int]:
    """Processes in this folder whose command has this part."""
    return [
        pid for pid, (where, line) in commands().items() if where == str(folder) and part in line
    ]


def parent(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[1])


def wait_until(holds: Callable[[], object]) -> None:
    end = time.monotonic() + 180
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.05)


def start(copy: Path, *settings: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "snakemake", "--cores", "2", *settings], cwd=copy, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True,
    )  # fmt: skip


def worker_at_work(copy: Path) -> tuple[int, list[int]]:
    """The worker and its forks, once one of them trains."""
    journal = copy / f"results/smoke/journals/train/{CELL}.jsonl"
    wait_until(lambda: journal.is_file() and '"step": 5' in journal.read_text())
    found = processes(copy, "suite.jobs.worker")
    (worker,) = [pid for pid in found if parent(pid) not in found]
    forks = [pid for pid in found if pid != worker]
    assert forks
    return worker, forks


def assert_nothing_is_left(copy: Path, run: subprocess.Popen[str]) -> None:
    """Neither a process of the run nor the socket of its worker."""
    wait_until(lambda: not processes(copy, "python"))
    assert f"leap-suite-{run.pid}-" not in Path("/proc/net/unix").read_text()


def assert_same(copy: Path, reference: Path, *kinds: str) -> None:
    files = [
        file for kind in kinds for file in sorted((copy / "results/smoke" / kind).rglob("*.*"))
    ]
    compared = 0
    for file in files:
        other = reference / file.relative_to(copy)
        if file.suffix in (".safetensors", ".gz"):
            assert file.read_bytes() == other.read_bytes(), file
            compared += 1
        elif kinds and file.parts[-4] == "evaluations":
            ours, theirs = (json.loads(place.read_text()) for place in (file, other))
            assert (ours["tasks"], ours["perplexity"]) == (theirs["tasks"], theirs["perplexity"])
            compared += 1
    assert compared


@pytest.fixture
def copy(tmp_path, begun_run) -> Path:
    """A copy of the suite in which there is everything that is to be pruned."""
    return begun_run(tmp_path / "suite", *DATA)


def test_without_the_worker_results_are_the_same_bits(smoke_run, copy, snakemake):
    cells = ("dense/0.0", "leap/0.5")  # which starts from Wanda's masks
    ends = [f"results/smoke/evaluations/{MODEL}/{cell}.json" for cell in cells]
    process = snakemake(copy, *ends, *SMOKE, "warm_worker=false", LEAP_SUITE_WORKER="")
    assert process.returncode == 0, process.stderr[-3000:]
    assert_same(copy, smoke_run, "pruned", "hardened", "items", "evaluations")


def test_the_killed_worker_takes_its_jobs_along_and_the_next_run_goes_on(copy, snakemake):
    run = start(copy, *LONG)
    worker, forks = worker_at_work(copy)
    os.kill(worker, signal.SIGKILL)
    output, _ = run.communicate(timeout=180)
    assert run.returncode != 0 and "the warm worker has gone" in output
    assert not set(forks) & set(commands())
    assert not (copy / TARGET).exists()
    assert_nothing_is_left(copy, run)
    assert snakemake(copy, TARGET, *LONG).returncode == 0


@pytest.mark.parametrize("how", ["ctrl-c", "snakemake is killed"])
def test_an_ended_run_leaves_no_process_and_the_next_one_goes_on(how, copy, snakemake):
    run = start(copy, *LONG)
    worker_at_work(copy)
    if how == "ctrl-c":
        os.killpg(run.pid, signal.SIGINT)
    else:
        os.kill(run.pid, signal.SIGKILL)
    run.communicate(timeout=180)
    assert_nothing_is_left(copy, run)
    assert not (copy / TARGET).exists()
    if how != "ctrl-c":
        # the training was told to stop, and has saved its state
        assert list((copy / f"results/smoke/training/{CELL}").glob("step-*"))
        assert snakemake(copy, "--unlock", *LONG).returncode == 0
    process = snakemake(copy, TARGET, *LONG)
    assert process.returncode == 0, process.stderr[-3000:]


def test_two_runs_at_once_have_a_worker_each(smoke_run, tmp_path, begun_run):
    copies = [begun_run(tmp_path / name, *DATA) for name in ("one", "two")]
    grid = f"grid={{models: [{MODEL}], methods: [wanda]}}"
    runs = [start(copy, *SMOKE, grid) for copy in copies]
    for copy in copies:
        wait_until(lambda copy=copy: processes(copy, "suite.jobs.worker"))
    for run in runs:
        output, _ = run.communicate(timeout=300)
        assert run.returncode == 0, output[-3000:]
    for copy, run in zip(copies, runs, strict=True):
        assert_same(copy, smoke_run, "pruned", "hardened", "items", "evaluations")
        assert_nothing_is_left(copy, run)
