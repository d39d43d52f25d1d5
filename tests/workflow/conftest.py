"""A finished run that many tests look at, and what Snakemake would run again in it."""

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from filelock import FileLock

SMOKE = ("--config", "scale=smoke")
TOKEN = "hf_PlantedTokenThatNobodyMaySee"


@pytest.fixture(scope="session")
def smoke_run(tmp_path_factory, worker_id, copy_suite, snakemake) -> Path:
    """A copy of the suite in which the smoke scale has run; to be read, not changed.

    One for all processes of the tests: the first that needs it makes it. There was a token around,
    and what the run showed is in the file `finished` beside the copy.
    """
    base = tmp_path_factory.getbasetemp()
    shared = base if worker_id == "master" else base.parent
    copy, finished = shared / "smoke/suite", shared / "smoke/finished"
    with FileLock(shared / "smoke.lock"):
        if not finished.exists():
            shutil.rmtree(copy, ignore_errors=True)
            # with variables of its own it runs as users have it, with a warm worker of its own
            process = snakemake(copy_suite(copy), *SMOKE, HF_TOKEN=TOKEN)
            assert process.returncode == 0, process.stderr[-5000:]
            finished.write_text(process.stdout + process.stderr)
    return copy


@pytest.fixture
def own_smoke_run(smoke_run, tmp_path) -> Path:
    """Another copy of it, with its records and times, which a test may change."""
    return Path(shutil.copytree(smoke_run, tmp_path / "moved", symlinks=True))


@pytest.fixture(scope="session")
def begun_run(smoke_run, copy_suite) -> Callable[..., Path]:
    """Copy the suite with some folders of the smoke run's results, from where a test goes on."""

    def begin(target: Path, *folders: str) -> Path:
        copy_suite(target)
        for folder in folders:
            part = f"results/smoke/{folder}"
            shutil.copytree(smoke_run / part, target / part)
        return target

    return begin


@pytest.fixture(scope="session")
def counted() -> Callable[[str], dict[str, int]]:
    """Numbers of jobs by rule that Snakemake says it has to do, figures as one, and tables."""

    def count(text: str) -> dict[str, int]:
        lines = re.findall(r"^(\w+) +(\d+)$", text, flags=re.MULTILINE)
        counts = {name: int(number) for name, number in lines if name not in ("total", "all")}
        kinds = {"figure_": "figures", "table_": "tables"}
        shown = {n: kind for n in counts for begin, kind in kinds.items() if n.startswith(begin)}
        found = {name: number for name, number in counts.items() if name not in shown}
        return found | dict.fromkeys(shown.values(), True)

    return count


@pytest.fixture(scope="session")
def planned(snakemake, counted) -> Callable[..., dict[str, int]]:
    """Numbers of jobs by rule that a dry run plans in a folder, figures as one."""

    def plan(folder: Path, *settings: str) -> dict[str, int]:
        process = snakemake(folder, "--dry-run", "--config", *(settings or ("scale=smoke",)))
        text = process.stdout + process.stderr
        assert process.returncode == 0, text[-5000:]
        return counted(text)

    return plan
