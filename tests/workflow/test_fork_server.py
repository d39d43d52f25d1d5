"""Runs with the fork server leave no process behind, and give the same results as without it.

Those without it are made in `test_faults.py`, of a job of every stage.
"""

import json
import os
import signal
import sys
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from tests.workflow.conftest import SMOKE
from tests.workflow.held import wait_until

pytestmark = [
    pytest.mark.heavy,
    pytest.mark.skipif(sys.platform != "linux", reason="the fork server is for Linux"),
]

CELL = "mini-llama-3.2-1b/leap/0.5"
LOGITS = f"results/smoke/pruned/{CELL}/logits.safetensors"
EVALUATION = f"results/smoke/evaluations/{CELL}.json"
DATA = ("world", "models", "corpora", "pruned/mini-llama-3.2-1b/wanda")
ENDS = {
    "killed": lambda run: os.kill(run.pid, signal.SIGKILL),
    "Ctrl-C": lambda run: os.killpg(run.pid, signal.SIGINT),
}


def processes(folder: Path, part: str) -> list[psutil.Process]:
    """Processes in this folder whose command has this part."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):  # it has ended
            if process.cwd() == str(folder) and part in " ".join(process.cmdline()):
                found.append(process)
    return found


def scores(suite: Path) -> tuple[object, object]:
    evaluation = json.loads((suite / EVALUATION).read_text())
    return evaluation["tasks"], evaluation["perplexity"]


@pytest.mark.parametrize("end", ENDS.values(), ids=ENDS)
def test_a_run_that_ends_early_leaves_no_process_and_the_next_finishes(
    end, tmp_path, begun_run, smoke_run, start_snakemake, succeed
):
    copy = begun_run(tmp_path / "suite", *DATA)
    run = start_snakemake(copy, EVALUATION, *SMOKE, apart=True, CUDA_VISIBLE_DEVICES="")
    journal = copy / f"results/smoke/journals/train/{CELL}.jsonl"
    wait_until(lambda: journal.is_file() and '"step": 2,' in journal.read_text())
    assert len(processes(copy, "suite.jobs.fork_server")) > 1, "the training is no fork"
    end(run)
    run.communicate(timeout=180)
    wait_until(lambda: not processes(copy, "python"))
    assert f"leap-suite-{run.pid}-" not in Path("/proc/net/unix").read_text()
    assert not (copy / LOGITS).exists()
    # the training was told to stop, and has saved its state
    assert list((copy / f"results/smoke/training/{CELL}").glob("step-*"))

    for lock in (copy / ".snakemake/locks").iterdir():
        lock.unlink()  # as --unlock does
    succeed(copy, EVALUATION, *SMOKE)
    assert (copy / LOGITS).read_bytes() == (smoke_run / LOGITS).read_bytes()
    assert scores(copy) == scores(smoke_run)
