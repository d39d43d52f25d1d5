"""What tests share: where the offline data lie, a tiny model of every family, a clean copy."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

# nothing in a test may reach a hub
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("HF_DATASETS_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
# threads that wait for each other cost more than they help on tensors as small as here
os.environ.setdefault("OMP_NUM_THREADS", "1")
# without a GPU, kernels run in Triton's interpreter; Triton reads this once, whoever imports it
if not Path("/dev/nvidiactl").exists():
    os.environ.setdefault("TRITON_INTERPRET", "1")


@pytest.fixture(scope="session")
def mirror() -> Path:
    """The offline mirror of real tasks and texts; tests that need it are skipped without it."""
    place = Path(os.environ.get("TEST_HUB_MIRROR", ROOT.parent / "shared" / "hub"))
    if not place.is_dir():
        pytest.skip(f"no offline mirror of the hub at {place} (set TEST_HUB_MIRROR)")
    return place


@pytest.fixture(scope="session")
def copy_suite() -> Callable[[Path], Path]:
    """Copy the files of this checkout that git knows or would add, so without any results."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    ).stdout.splitlines()  # fmt: skip

    def copy(target: Path) -> Path:
        for name in listed:
            if (ROOT / name).is_file():
                (target / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(ROOT / name, target / name)
        return target

    return copy


@pytest.fixture(scope="session")
def snakemake() -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run the real Snakemake in a folder; returns the finished process."""

    def run(folder: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "snakemake", "--cores", "2", *arguments],
            cwd=folder, capture_output=True, text=True, env={**os.environ, **environment},
        )  # fmt: skip

    return run
