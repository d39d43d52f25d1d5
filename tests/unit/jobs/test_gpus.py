"""GPU leases of real processes, on devices that exist in name only."""

import logging
import os
import select
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from leap_suite.jobs.gpus import use_gpus, visible_gpus
from tests.conftest import ROOT

# computes on argv[1] GPUs for argv[2] seconds; prints which, and between which times
JOB = """
import os, sys, time
from leap_suite.jobs.gpus import use_gpus
use_gpus(int(sys.argv[1]))
print(os.environ["CUDA_VISIBLE_DEVICES"], time.monotonic(), flush=True)
time.sleep(float(sys.argv[2]))
print(time.monotonic(), flush=True)
"""
# the same, which starts a worker as torchrun does
LAUNCHER = """
import os, subprocess, sys, time
from leap_suite.jobs.gpus import use_gpus
use_gpus(2)
worker = "from leap_suite.jobs.gpus import use_gpus; import os; use_gpus(2)\\n"
worker += "print(os.environ['CUDA_VISIBLE_DEVICES'], flush=True)"
environment = {**os.environ, "WORLD_SIZE": "2"}
subprocess.run([sys.executable, "-c", worker], env=environment, check=True)
time.sleep(600)
"""
LOGGING = """
import logging, sys
logging.basicConfig(stream=sys.stdout, format="%(message)s")
logging.getLogger("leap_suite").setLevel("DEBUG")
from leap_suite.jobs.gpus import use_gpus
use_gpus(1)
"""

Start = Callable[..., subprocess.Popen[str]]
Jobs = list[subprocess.Popen[str]]


@pytest.fixture
def start(tmp_path) -> Iterator[Start]:
    """Start a program that leases among the devices 0, 1 and 2; none outlives the test."""
    started = []

    def run(program: str, *arguments: object, **environment: str) -> subprocess.Popen[str]:
        inherited = {name: value for name, value in os.environ.items() if "SLURM" not in name}
        ours = {
            "CUDA_VISIBLE_DEVICES": "0,1,2",
            "PYTHONPATH": str(ROOT / "workflow"),
            "TMPDIR": str(tmp_path),
        }
        process = subprocess.Popen(
            [sys.executable, "-c", program, *map(str, arguments)],
            env={**inherited, **ours, **environment}, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        started.append(process)
        return process

    yield run
    for process in started:
        process.kill()
        process.communicate()


@pytest.fixture
def alone(monkeypatch, tmp_path) -> pytest.MonkeyPatch:
    """This process as a job without others, whose environment is restored."""
    for name in ("CUDA_VISIBLE_DEVICES", "SLURM_JOB_ID", "WORLD_SIZE"):
        monkeypatch.setenv(name, "")  # so that it is restored even where it was not set
        monkeypatch.delenv(name)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    return monkeypatch


def at_once(processes: Jobs) -> tuple[int, int]:
    """Leases of all devices, and the largest number on one device at a time."""
    used: dict[str, list[tuple[float, float]]] = {}
    for process in processes:
        devices, begin, end = process.communicate(timeout=60)[0].split()
        for device in devices.split(","):
            used.setdefault(device, []).append((float(begin), float(end)))
    most = max(
        sum(begin <= moment < end for begin, end in times)
        for times in used.values()
        for moment, _ in times
    )
    return sum(map(len, used.values())), most


def devices_of(process: subprocess.Popen[str], seconds: float = 20.0) -> str:
    """What a job prints first, its devices; "" without a lease after this time."""
    if not select.select([process.stdout], [], [], seconds)[0]:
        return ""
    return process.stdout.readline().split()[0]


def gets_none(process: subprocess.Popen[str]) -> bool:
    return devices_of(process, 1.5) == ""


@pytest.mark.parametrize(
    ("jobs", "gpus", "seconds", "per_gpu", "leases"),
    [(7, 1, 0.5, 1, 7), (6, 1, 1.5, 2, 6), (5, 2, 0.1, 1, 10)],
    ids=["one each", "two jobs a device", "two devices a job"],
)
def test_a_device_has_as_many_jobs_as_are_configured(jobs, gpus, seconds, per_gpu, leases, start):
    devices = "0,1" if per_gpu == 2 else "0,1,2"
    more = {"CUDA_VISIBLE_DEVICES": devices, "LEAP_SUITE_JOBS_PER_GPU": str(per_gpu)}
    started = [start(JOB, gpus, seconds, **more) for _ in range(jobs)]
    assert at_once(started) == (leases, per_gpu)


def test_idle_devices_are_taken_before_shared_ones(start):
    jobs = [start(JOB, 1, 600, LEAP_SUITE_JOBS_PER_GPU="2") for _ in range(3)]
    held = {devices_of(job): job for job in jobs}
    assert set(held) == {"0", "1", "2"}
    held["1"].kill()
    held["1"].wait()
    assert devices_of(start(JOB, 1, 600, LEAP_SUITE_JOBS_PER_GPU="2")) == "1"


def test_a_waiting_job_says_so_once_and_gets_the_device_of_a_killed_one(start):
    holder = start(JOB, 3, 600)
    assert devices_of(holder) == "0,1,2"
    waiting = start(LOGGING)
    assert waiting.stdout.readline() == "waiting for a GPU\n"
    assert gets_none(waiting)
    holder.kill()
    assert waiting.communicate(timeout=20)[0] == "on GPU 0\n"


def test_a_waiting_job_does_not_hold_up_jobs_on_other_devices(start):
    assert devices_of(start(JOB, 1, 600, CUDA_VISIBLE_DEVICES="0")) == "0"
    assert gets_none(start(JOB, 1, 600, CUDA_VISIBLE_DEVICES="0"))
    assert devices_of(start(JOB, 1, 600, CUDA_VISIBLE_DEVICES="1")) == "1"


def test_jobs_of_different_slurm_allocations_do_not_meet(start):
    assert devices_of(start(JOB, 3, 600, SLURM_JOB_ID="1")) == "0,1,2"
    assert devices_of(start(JOB, 3, 600, SLURM_JOB_ID="2")) == "0,1,2"
    assert gets_none(start(JOB, 1, 600, SLURM_JOB_ID="1"))


def test_a_lease_is_not_taken_again_by_workers(start):
    launcher = start(LAUNCHER)
    assert devices_of(launcher) == "0,1"
    assert devices_of(start(JOB, 1, 600)) == "2"
    waiting = start(JOB, 2, 0)
    assert gets_none(waiting)
    launcher.kill()
    assert waiting.wait(timeout=20) == 0


def test_without_gpus_wanted_or_there_a_job_computes_on_the_cpu(alone, caplog, tmp_path):
    alone.setenv("CUDA_VISIBLE_DEVICES", "0,1")
    with caplog.at_level(logging.DEBUG, "leap_suite"):
        use_gpus(0)
    assert os.environ["CUDA_VISIBLE_DEVICES"] == ""
    assert caplog.messages == ["on the CPU"]
    alone.delenv("CUDA_VISIBLE_DEVICES")
    alone.setenv("PATH", str(tmp_path))
    use_gpus(1)
    assert os.environ["CUDA_VISIBLE_DEVICES"] == ""


def test_more_than_there_are_is_an_error_that_names_the_setting(alone):
    alone.setenv("CUDA_VISIBLE_DEVICES", "0,1")
    message = r"resources\.<stage>\.gpu is 3 .* GPU 0, 1: set it to 2 or less"
    with pytest.raises(ValueError, match=message):
        use_gpus(3)


@pytest.mark.parametrize(
    ("listed", "names"),
    [
        ("3, 1", ["3", "1"]),
        ("GPU-8932f937,MIG-GPU-1/2/0", ["GPU-8932f937", "MIG-GPU-1/2/0"]),
        ("0,0", ["0"]),
        ("0,-1,1", ["0"]),
        ("NoDevFiles", []),
        ("", []),
    ],
)
def test_visible_gpus_of_the_environment(listed, names, alone):
    alone.setenv("CUDA_VISIBLE_DEVICES", listed)
    assert visible_gpus() == names
    if names:  # any name can be leased
        use_gpus(1)
        assert os.environ["CUDA_VISIBLE_DEVICES"] == names[0]


@pytest.mark.parametrize(("ending", "names"), [("", ["0", "1"]), ("exit 9", [])])
def test_visible_gpus_of_the_driver(ending, names, alone, tmp_path):
    program = tmp_path / "nvidia-smi"
    asked = 'test "$*" = "--query-gpu=index --format=csv,noheader" || exit 1'
    program.write_text(f"#!/bin/sh\n{asked}\nprintf '0\\n1\\n'\n{ending}\n")
    program.chmod(0o755)
    alone.setenv("PATH", str(tmp_path))
    assert visible_gpus() == names


def elsewhere(folder: Path) -> None:
    (folder.parent / "elsewhere").mkdir(mode=0o700)
    folder.symlink_to(folder.parent / "elsewhere")


def open_to_others(folder: Path) -> None:
    folder.mkdir()
    folder.chmod(0o770)


def of_somebody_else(folder: Path) -> None:
    folder.mkdir(mode=0o700)
    if os.getuid() != 0:
        pytest.skip("only root can give a folder away")
    os.chown(folder, 65534, 65534)


@pytest.mark.parametrize("make", [elsewhere, open_to_others, of_somebody_else])
def test_a_folder_that_others_could_write_to_is_refused(make, alone, tmp_path):
    make(tmp_path / f"leap-suite-gpus-{os.getuid()}")
    alone.setenv("CUDA_VISIBLE_DEVICES", "0")
    with pytest.raises(ValueError, match="not a folder of yours alone: delete it, or set TMPDIR"):
        use_gpus(1)
