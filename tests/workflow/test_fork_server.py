"""Runs with the fork server: same results as without it, and nothing is left behind.

Those without it are made in `test_faults.py`, of a job of every stage.
"""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.workflow.held import wait_until

pytestmark = [
    pytest.mark.heavy,
    pytest.mark.skipif(sys.platform != "linux", reason="the fork server is for Linux"),
]

MODEL = "mini-llama-3.2-1b"
CELL = f"{MODEL}/leap/0.5"
TARGET = f"results/smoke/pruned/{CELL}/logits.safetensors"
STATE = f"results/smoke/training/{CELL}"
JOURNAL = f"results/smoke/journals/train/{CELL}.jsonl"
SMOKE = ("--config", "scale=smoke")
DATA = ("world", "models", "corpora")
# enough jobs for a server: a training and what comes after it; a pruning and what comes after it
TRAINED, PRUNED = (
    (f"results/smoke/evaluations/{MODEL}/{method}/0.5.json", *SMOKE) for method in ("leap", "wanda")
)


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


def start(copy: Path, *settings: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "snakemake", "--cores", "2", *settings], cwd=copy, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True,
    )  # fmt: skip


def server_at_work(copy: Path) -> tuple[int, list[int]]:
    """The server and its forks, once one of them has trained some steps of its own."""
    journal = copy / JOURNAL
    states = [file.name for file in (copy / STATE).glob("step-*")]
    begins = max((int(name.split(".")[0].removeprefix("step-")) for name in states), default=0)
    wait_until(lambda: journal.is_file() and f'"step": {begins + 2},' in journal.read_text())
    found = processes(copy, "leap_suite.jobs.fork_server")
    (server,) = [pid for pid in found if parent(pid) not in found]
    forks = [pid for pid in found if pid != server]
    assert forks
    return server, forks


def assert_nothing_is_left(copy: Path, run: subprocess.Popen[str]) -> None:
    """Neither a process of the run nor the socket of its server."""
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
def copies(tmp_path, begun_run) -> tuple[Path, Path]:
    """Two copies of the suite, in one of which the mask is there that LEAP begins with."""
    first = begun_run(tmp_path / "first", *DATA, f"pruned/{MODEL}/wanda")
    return first, begun_run(tmp_path / "second", *DATA)


def test_a_run_that_ends_in_any_way_leaves_no_process_and_the_next_goes_on(
    copies, smoke_run, snakemake
):
    """Its server is killed, then Snakemake, then Ctrl-C; the other run has its own server."""
    copy, other = copies
    undisturbed = start(other, *PRUNED)

    run = start(copy, *TRAINED)
    server, forks = server_at_work(copy)
    os.kill(server, signal.SIGKILL)
    output, _ = run.communicate(timeout=180)
    assert run.returncode != 0 and "the fork server has gone" in output
    assert not set(forks) & set(commands())
    assert not (copy / TARGET).exists()
    assert_nothing_is_left(copy, run)

    run = start(copy, *TRAINED)
    server_at_work(copy)
    os.kill(run.pid, signal.SIGKILL)
    run.communicate(timeout=180)
    assert_nothing_is_left(copy, run)
    assert not (copy / TARGET).exists()
    # the training was told to stop, and has saved its state
    assert list((copy / STATE).glob("step-*"))
    for lock in (copy / ".snakemake/locks").iterdir():
        lock.unlink()  # as --unlock does
    (copy / JOURNAL).unlink()  # as the next run does; see `server_at_work`

    run = start(copy, *TRAINED)
    server_at_work(copy)
    os.killpg(run.pid, signal.SIGINT)
    run.communicate(timeout=180)
    assert_nothing_is_left(copy, run)
    assert not (copy / TARGET).exists()

    process = snakemake(copy, *TRAINED)
    assert process.returncode == 0, process.stderr[-3000:]
    assert_same(copy, smoke_run, "pruned", "hardened", "items", "evaluations")
    output, _ = undisturbed.communicate(timeout=300)
    assert undisturbed.returncode == 0, output[-3000:]
    assert_same(other, smoke_run, "pruned", "hardened", "items", "evaluations")
    assert_nothing_is_left(other, undisturbed)
