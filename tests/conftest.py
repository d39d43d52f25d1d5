"""Shared fixtures: offline data, a clean copy of the suite, Snakemake."""

import os
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from leap_suite.plan.config import MINIATURES
from tests.warm import SNAKEMAKE, WarmProcess, write_program

ROOT = Path(__file__).parents[1]
# the tools of the environment that the tests run in, as in an active one
PATH = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])

# nothing in a test may reach a hub
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("HF_DATASETS_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
# threads that wait for each other cost more than they help on tensors as small as here
os.environ.setdefault("OMP_NUM_THREADS", "1")
# without a GPU, kernels run in Triton's interpreter; Triton reads this once, whoever imports it
if not Path("/dev/nvidiactl").exists():
    os.environ.setdefault("TRITON_INTERPRET", "1")


def own_model(folder: Path) -> Path:
    """A miniature as a folder of a user's own, in Hugging Face layout, with its tokenizer."""
    for part in ("mini-llama-3.2-1b", "tokenizer"):
        shutil.copytree(MINIATURES / part, folder, dirs_exist_ok=True)
    return folder


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Order modules by decreasing duration, so that two processes end at the same time.

    The first waits for Slurm, or else needs the smoke run and makes it. Next come modules without
    that run, so that no process waits for it.
    """
    fixtures = {item: getattr(item, "fixturenames", ()) for item in items}
    slurm = {item.path for item in items if item.get_closest_marker("slurm")}
    smoke = {item.path for item in items if "smoke_run" in fixtures[item]}
    long = Counter(
        item.path
        for item in items
        if item.get_closest_marker("heavy") or "start_snakemake" in fixtures[item]
    )
    first = max(smoke, key=lambda path: (path in slurm, long[path]), default=None)
    items.sort(
        key=lambda item: (
            item.path != first, not long[item.path], item.path in smoke, -long[item.path]
        )
    )  # fmt: skip


@pytest.fixture(scope="session")
def mirror() -> Path:
    """Offline mirror of real tasks and texts; skips the test where there is none."""
    place = Path(os.environ.get("TEST_HUB_MIRROR", ROOT.parent / "shared" / "hub"))
    if not place.is_dir():
        pytest.skip(f"no offline mirror of the hub at {place} (set TEST_HUB_MIRROR)")
    return place


@pytest.fixture(scope="session")
def copy_suite() -> Callable[[Path], Path]:
    """Copy all files of this checkout that git does not ignore, so without results."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    ).stdout.splitlines()  # fmt: skip

    def copy(target: Path) -> Path:
        for name in listed:
            if (ROOT / name).is_file() or (ROOT / name).is_symlink():
                (target / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(ROOT / name, target / name, follow_symlinks=False)
        return target

    return copy


@pytest.fixture(scope="session")
def warm() -> WarmProcess:
    """Process with the large libraries loaded."""
    return WarmProcess()


@pytest.fixture(scope="session")
def start_snakemake(warm, tmp_path_factory) -> Callable[..., subprocess.Popen[str]]:
    """Start the real Snakemake in a folder; returns the Popen object.

    Snakemake and its jobs are forks of the warm process, without libraries to load. With
    environment `variables` it starts as for a user; with `apart`, in a process group of its own.
    """
    program = write_program(SNAKEMAKE, tmp_path_factory.mktemp("program") / "run_snakemake.py")

    def start(
        folder: Path, *arguments: str, apart: bool = False, **variables: str
    ) -> subprocess.Popen[str]:
        if variables:
            command, environment = [sys.executable, "-m", "snakemake"], {**os.environ, **variables}
        else:
            command, environment = program, warm.environment()
            arguments = without_own_worker(arguments)
        return subprocess.Popen(
            [*command, "--cores", "2", *arguments], cwd=folder, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=apart,
            env={**environment, "PATH": PATH},
        )  # fmt: skip

    return start


def without_own_worker(arguments: tuple[str, ...]) -> tuple[str, ...]:
    """Arguments of Snakemake, and the setting that starts no warm worker."""
    before, after = arguments, ()
    if "--config" in arguments:
        place = arguments.index("--config")
        before, after = arguments[:place], arguments[place + 1 :]
    return (*before, "--config", "warm_worker=false", *after)


@pytest.fixture(scope="session")
def snakemake(start_snakemake) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run the real Snakemake in a folder; returns the finished process."""

    def run(folder: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        process = start_snakemake(folder, *arguments, **variables)
        output, errors = process.communicate()
        return subprocess.CompletedProcess(process.args, process.returncode, output, errors)

    return run


@pytest.fixture(scope="session")
def succeed(snakemake) -> Callable[..., str]:
    """Run Snakemake, which has to succeed; returns what it printed."""

    return lambda *given, **variables: printed(snakemake(*given, **variables), fails=False)


@pytest.fixture(scope="session")
def fail(snakemake) -> Callable[..., str]:
    """Run Snakemake, which has to fail without a traceback; returns what it printed."""

    return lambda *given, **variables: printed(snakemake(*given, **variables), fails=True)


def printed(process: subprocess.CompletedProcess[str], fails: bool) -> str:
    """All that a process printed, which must fail without a traceback, or succeed."""
    text = process.stdout + process.stderr
    assert (process.returncode != 0) == fails, text[-5000:]
    assert not fails or "Traceback (most recent" not in text, text[-5000:]
    return text
