"""A finished run that many tests read, and the jobs that Snakemake plans."""

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from filelock import FileLock

SMOKE = ("--config", "scale=smoke")
TOKEN = "hf_PlantedTokenThatNobodyMaySee"


@pytest.fixture(scope="session")
def smoke_run(tmp_path_factory, worker_id, copy_suite, succeed) -> Path:
    """A copy of the suite in which the smoke scale has run; to be read, not changed.

    The first test process that needs it makes it, with a token in the environment. The output of
    Snakemake is in the file `finished` beside the copy.
    """
    base = tmp_path_factory.getbasetemp()
    shared = base if worker_id == "master" else base.parent
    copy, finished = shared / "smoke/suite", shared / "smoke/finished"
    with FileLock(shared / "smoke.lock"):
        if not finished.exists():
            shutil.rmtree(copy, ignore_errors=True)
            # a variable of its own: it runs as for a user, with a warm worker of its own
            finished.write_text(succeed(copy_suite(copy), *SMOKE, HF_TOKEN=TOKEN))
    return copy


@pytest.fixture
def own_smoke_run(smoke_run, tmp_path) -> Path:
    """A copy of the finished run, with records and times, which a test may change."""
    return Path(shutil.copytree(smoke_run, tmp_path / "moved", symlinks=True))


@pytest.fixture(scope="session")
def begun_run(smoke_run, copy_suite) -> Callable[..., Path]:
    """Copy the suite with some folders of the finished run's results."""

    def begin(target: Path, *folders: str) -> Path:
        copy_suite(target)
        for folder in folders:
            part = f"results/smoke/{folder}"
            shutil.copytree(smoke_run / part, target / part)
        return target

    return begin


@pytest.fixture(scope="session")
def counted() -> Callable[[str], dict[str, int]]:
    """Count jobs by rule in Snakemake's output; all figures are one entry, as are all tables."""

    def count(text: str) -> dict[str, int]:
        counts: dict[str, int] = {}
        for rule, number in re.findall(r"^(\w+) +(\d+)$", text, flags=re.MULTILINE):
            if rule.startswith(("figure_", "table_")):
                counts[f"{rule.partition('_')[0]}s"] = True
            elif rule not in ("total", "all"):
                counts[rule] = int(number)
        return counts

    return count


@pytest.fixture(scope="session")
def planned(succeed, counted) -> Callable[..., dict[str, int]]:
    """Count the jobs that a dry run plans in a folder, with scale smoke and further settings."""

    def plan(folder: Path, *settings: str) -> dict[str, int]:
        return counted(succeed(folder, "--dry-run", *SMOKE, *settings))

    return plan
