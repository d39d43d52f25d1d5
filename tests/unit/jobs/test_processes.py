"""Several processes of a job: restarted where one is out of GPU memory, ended by a signal."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from leap_suite.jobs import processes
from tests.conftest import ROOT

# The second process runs out of memory; the first one waits for it.
JOB = """
import os, sys, time
from pathlib import Path
from leap_suite.jobs.gpu_memory import first_that_fits
from leap_suite.jobs.processes import one_on_each

one_on_each(2)
import torch
from torch import distributed

FIRST_THAT_FITS, WAITS = {fits}, {waits}
distributed.init_process_group("gloo")
rank = distributed.get_rank()

def attempt(way):
    with open(f"tried-{{rank}}", "a") as file:
        file.write(f"{{way}} ")
    if way > FIRST_THAT_FITS and rank == 1:
        raise torch.OutOfMemoryError("CUDA out of memory.")
    distributed.barrier()
    if WAITS:
        Path(f"waits-{{rank}}").touch()
        time.sleep(60)

first_that_fits([8, 4, 2], attempt)
"""


def job(folder: Path, fits: int, waits: bool = False) -> subprocess.Popen[str]:
    (folder / "job.py").write_text(JOB.format(fits=fits, waits=waits))
    paths = os.pathsep.join([str(ROOT), str(ROOT / "workflow")])
    return subprocess.Popen(
        [sys.executable, "job.py"], cwd=folder, stderr=subprocess.PIPE, text=True,
        env={**os.environ, "PYTHONPATH": paths, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip


@pytest.mark.heavy
@pytest.mark.parametrize(("fits", "status"), [(8, 0), (2, 0), (1, 1)])
def test_all_are_restarted_with_the_next_way_until_one_fits(tmp_path, fits, status):
    process = job(tmp_path, fits)
    _, errors = process.communicate(timeout=240)
    assert process.returncode == status, errors
    tried = [way for way in (8, 4, 2) if way >= fits]
    assert (tmp_path / "tried-1").read_text().split() == [str(way) for way in tried]
    assert ("ValueError: the training does not fit into GPU memory" in errors) == bool(status)


@pytest.mark.heavy
def test_a_signal_to_the_launcher_ends_all(tmp_path):
    process = job(tmp_path, 8, waits=True)
    while not all((tmp_path / f"waits-{rank}").exists() for rank in (0, 1)):
        assert process.poll() is None
        time.sleep(0.1)
    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate(timeout=200)
    assert process.returncode == 128 + signal.SIGTERM, errors


def test_processes_have_longer_to_save_than_slurm_gives_them(monkeypatch):
    for name in ("WORLD_SIZE", "TORCH_ELASTIC_SHUTDOWN_TIMEOUT"):
        monkeypatch.setenv(name, "")  # so that it is restored
        monkeypatch.delenv(name)
    monkeypatch.setattr(processes, "_launch", lambda gpus: 0)
    with pytest.raises(SystemExit):
        processes.one_on_each(2)
    profile = (ROOT / "profiles/slurm/config.yaml").read_text()
    seconds = int(os.environ["TORCH_ELASTIC_SHUTDOWN_TIMEOUT"])
    assert seconds > int(re.search(r"--signal=TERM@(\d+)", profile)[1])
