"""Leases of GPUs among real processes, on devices that exist in name only."""

import logging
import os
import re
import select
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from suite.jobs.gpus import use_gpus, visible_gpus
from tests.conftest import ROOT

# computes on argv[1] GPUs for argv[2] seconds; prints which, and between which times
JOB = """
import os, sys, time
from suite.jobs.gpus import use_gpus
use_gpus(int(sys.argv[1]))
print(os.environ["CUDA_VISIBLE_DEVICES"], time.monotonic(), flush=True)
time.sleep(float(sys.argv[2]))
print(time.monotonic(), flush=True)
"""
# the same, which starts a worker as torchrun does
LAUNCHER = """
import os, subprocess, sys, time
from suite.jobs.gpus import use_gpus
use_gpus(2)
worker = "from suite.jobs.gpus import use_gpus; import os; use_gpus(2)\\n"
worker += "print(os.environ['CUDA_VISIBLE_DEVICES'], flush=True)"
environment = {**os.environ, "WORLD_SIZE": "2"}
subprocess.run([sys.executable, "-c", worker], env=environment, check=True)
time.sleep(600)
"""

# the script of rule train, which says what it would start and does not
TRAINING = """
import os, runpy, sys
from types import SimpleNamespace
from torch.distributed import run
def main(arguments):
    said = [os.environ["TORCH_ELASTIC_SHUTDOWN_TIMEOUT"], *arguments]
    print(*said, file=sys.__stdout__, flush=True)
run.main = main
snakemake = SimpleNamespace(log=[sys.argv[2]], threads=2, resources={"gpu": 2}, params=None)
runpy.run_path(sys.argv[1], {"snakemake": snakemake}, "__main__")
"""

Start = Callable[..., subprocess.Popen[str]]


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
    """This very process as a job: its environment is restored, and no other job is near."""
    for name in ("CUDA_VISIBLE_DEVICES", "SLURM_JOB_ID", "WORLD_SIZE"):
        monkeypatch.setenv(name, "")  # so that it is restored even where it was not set
        monkeypatch.delenv(name)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    return monkeypatch


def spans(processes: list[subprocess.Popen[str]]) -> dict[str, list[tuple[float, float]]]:
    """When each device was in use, once all processes have ended."""
    found: dict[str, list[tuple[float, float]]] = {}
    for process in processes:
        devices, begin, end = process.communicate(timeout=60)[0].split()
        for device in devices.split(","):
            found.setdefault(device, []).append((float(begin), float(end)))
    return found


def most_at_once(times: list[tuple[float, float]]) -> int:
    """The largest number of spans that contain the beginning of one of them."""
    return max(sum(begin <= moment < end for begin, end in times) for moment, _ in times)


def devices_of(process: subprocess.Popen[str]) -> str:
    """What a job prints first; waits for its lease."""
    assert says_something(process, 20.0), "still without a lease"
    return process.stdout.readline().split()[0]


def gets_none(process: subprocess.Popen[str]) -> bool:
    """Whether a job is still without a lease after a while."""
    return not says_something(process, 1.5)


def says_something(process: subprocess.Popen[str], seconds: float) -> bool:
    return bool(select.select([process.stdout], [], [], seconds)[0])


def test_no_device_is_given_to_two_jobs(start):
    used = spans([start(JOB, 1, 0.5) for _ in range(7)])
    assert sum(map(len, used.values())) == 7
    assert max(map(most_at_once, used.values())) == 1


def test_as_many_jobs_share_a_device_as_are_configured(start):
    devices = {"CUDA_VISIBLE_DEVICES": "0,1", "LEAP_SUITE_JOBS_PER_GPU": "2"}
    used = spans([start(JOB, 1, 1.5, **devices) for _ in range(6)])
    assert sum(map(len, used.values())) == 6
    assert max(map(most_at_once, used.values())) == 2


def test_idle_devices_are_taken_before_shared_ones(start):
    jobs = [start(JOB, 1, 600, LEAP_SUITE_JOBS_PER_GPU="2") for _ in range(3)]
    held = {devices_of(job): job for job in jobs}
    assert set(held) == {"0", "1", "2"}
    held["1"].kill()
    held["1"].wait()
    assert devices_of(start(JOB, 1, 600, LEAP_SUITE_JOBS_PER_GPU="2")) == "1"


def test_a_killed_job_frees_its_device(start):
    holder = start(JOB, 3, 600)
    assert devices_of(holder) == "0,1,2"
    waiting = start(JOB, 1, 0)
    assert gets_none(waiting)
    holder.send_signal(signal.SIGKILL)
    assert waiting.wait(timeout=20) == 0


def test_jobs_of_two_devices_do_not_lock_each_other_out(start):
    used = spans([start(JOB, 2, 0.1) for _ in range(5)])
    assert sum(map(len, used.values())) == 10
    assert max(map(most_at_once, used.values())) == 1


def test_a_job_that_waits_for_its_devices_does_not_hold_up_those_of_others(start):
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


def test_waiting_is_said_once_and_the_devices_in_the_end(start):
    holder = start(JOB, 3, 600)
    assert devices_of(holder) == "0,1,2"
    logged = "import logging, sys; logging.basicConfig(stream=sys.stdout, format='%(message)s')\n"
    logged += "logging.getLogger('suite').setLevel('DEBUG')\n"
    logged += "from suite.jobs.gpus import use_gpus; use_gpus(1)"
    waiting = start(logged)
    assert waiting.stdout.readline() == "waiting for a GPU\n"
    assert gets_none(waiting)
    holder.kill()
    assert waiting.communicate(timeout=20)[0] == "on GPU 0\n"


def test_none_wanted_hides_all(alone, caplog):
    alone.setenv("CUDA_VISIBLE_DEVICES", "0,1")
    with caplog.at_level(logging.DEBUG, "suite"):
        use_gpus(0)
    assert os.environ["CUDA_VISIBLE_DEVICES"] == ""
    assert caplog.messages == ["on the CPU"]


def test_a_machine_without_gpus_computes_on_the_cpu(alone, tmp_path):
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
def test_the_environment_says_which_devices_there_are(listed, names, alone):
    alone.setenv("CUDA_VISIBLE_DEVICES", listed)
    assert visible_gpus() == names


def test_any_name_of_a_device_can_be_leased(start):
    assert devices_of(start(JOB, 1, 0, CUDA_VISIBLE_DEVICES="MIG-GPU-1/2/0")) == "MIG-GPU-1/2/0"


@pytest.mark.parametrize(("ending", "names"), [("", ["0", "1"]), ("exit 9", [])])
def test_without_it_the_driver_is_asked(ending, names, alone, tmp_path):
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


def test_the_launcher_waits_for_a_training_to_save_longer_than_slurm_gives_it(start, tmp_path):
    process = start(TRAINING, ROOT / "workflow/scripts/train.py", tmp_path / "log")
    seconds, *launcher = process.communicate(timeout=60)[0].split()
    assert launcher[:2] == ["--standalone", "--nproc-per-node=2"]
    profile = (ROOT / "profiles/slurm/config.yaml").read_text()
    assert int(seconds) > int(re.search(r"--signal=TERM@(\d+)", profile)[1])
