"""What has to be known about a result's making: versions, commit, machine, time, memory."""

import csv
import platform
import resource
import subprocess
import sys
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

_PACKAGES = (
    "torch", "transformers", "tokenizers", "safetensors", "datasets", "lm-eval", "accelerate",
    "numpy", "snakemake",
)  # fmt: skip
_CODE = ("leap", "baselines", "workflow", "Snakefile")


def environment() -> dict[str, Any]:
    """Package versions, Python, git commit of the suite and the machine's kind."""
    return {
        "packages": {name: version(name) for name in _PACKAGES},
        "python": platform.python_version(),
        "platform": platform.platform(),
        "git_commit": git_commit(),
    }


def git_commit() -> str:
    """The suite's commit, "-dirty" appended with local changes; "unknown" outside a checkout.

    A file that git does not track counts where it can be code: a new method has a say in results.
    """
    root = Path(__file__).parents[3]

    def git(*arguments: str) -> str:
        command = ["git", "-C", str(root), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    try:
        changed = git("status", "--porcelain", "--untracked-files=no")
        added = git("ls-files", "--others", "--exclude-standard", "--", *_CODE)
        return git("rev-parse", "HEAD") + ("-dirty" if changed or added else "")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def choose_device() -> str:
    """The device jobs compute on: the first visible CUDA GPU, else the CPU."""
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


class Meter:
    """Wall time and peak memory since its creation."""

    def __init__(self) -> None:
        self.start = time.monotonic()

    def read(self) -> dict[str, Any]:
        """Seconds, peak bytes of the process, and peak bytes allocated on the GPU (0 without)."""
        import torch

        gpu = torch.cuda.max_memory_allocated() if torch.cuda.is_available() else 0
        # ru_maxrss is in kibibytes on Linux, in bytes on macOS
        unit = 1 if sys.platform == "darwin" else 1024
        return {
            "wall_time_seconds": round(time.monotonic() - self.start, 3),
            "peak_memory_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit,
            "peak_gpu_memory_bytes": gpu,
        }


def compute_setting(dtype: str, device: str) -> dict[str, Any]:
    """Device, dtype and threads, which all have a say in the last bits of a result."""
    import torch

    gpu = torch.cuda.get_device_name() if device == "cuda" else ""
    return {"device": device, "gpu": gpu, "dtype": dtype, "threads": torch.get_num_threads()}


def benchmarked(file: str | Path) -> dict[str, Any]:
    """The cost of a job of another program, as `Meter.read` gives it, by Snakemake's benchmark."""
    with open(file, newline="") as opened:
        row = next(csv.DictReader(opened, delimiter="\t"))
    # a very short job has no measurement of memory
    megabytes = float(row["max_rss"]) if row["max_rss"] not in ("-", "NA") else 0.0
    return {
        "wall_time_seconds": float(row["s"]),
        "peak_memory_bytes": int(megabytes * 2**20),
        "peak_gpu_memory_bytes": 0,
    }
