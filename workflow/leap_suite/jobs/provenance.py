"""Provenance of a result: versions, commit, machine, time and memory."""

import csv
import os
import platform
import resource
import subprocess
import sys
import time
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from leap_suite.jobs.gpus import asked_driver
from leap_suite.places import ROOT

if TYPE_CHECKING:
    from transformers import PreTrainedModel

_PACKAGES = (
    "torch", "transformers", "tokenizers", "safetensors", "datasets", "lm-eval", "accelerate",
    "numpy", "snakemake",
)  # fmt: skip
_CODE = ("leap", "baselines", "workflow", "Snakefile")


def environment() -> dict[str, Any]:
    """Versions of packages and Python, git commit of the suite, and platform."""
    return {
        "packages": {name: version(name) for name in _PACKAGES},
        "python": platform.python_version(),
        "platform": platform.platform(),
        "git_commit": git_commit(),
    }


def git_commit() -> str:
    """Git commit of the suite, with "-dirty" for local changes; "unknown" outside a checkout.

    Untracked files count in folders of code, since a new method changes results.
    """
    try:
        changed = _git("status", "--porcelain", "--untracked-files=no")
        added = _git("ls-files", "--others", "--exclude-standard", "--", *_CODE)
        return _git("rev-parse", "HEAD") + ("-dirty" if changed or added else "")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def repository() -> str:
    """https address of the checkout's remote `origin`, without a user's name; "" without one."""
    try:
        address = urlsplit(_git("remote", "get-url", "origin"))
    except (OSError, subprocess.CalledProcessError):
        return ""
    place = address.netloc.rpartition("@")[2] + address.path.removesuffix(".git")
    return f"https://{place}" if address.scheme == "https" else ""


def _git(*arguments: str) -> str:
    """Output of git on the checkout.

    Raises OSError outside one: an installed package may lie within a repository of others.
    """
    if not (ROOT / ".git").exists():
        raise FileNotFoundError(f"{ROOT} is no checkout")
    command = ["git", "-C", str(ROOT), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def choose_device() -> str:
    """Compute device: "cuda" with a visible GPU, else "cpu"."""
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


class Meter:
    """Wall time, CPU time and peak memory since its creation."""

    def __init__(self) -> None:
        self.start = time.monotonic()
        self.cpu_start = time.process_time()

    def read(self) -> dict[str, Any]:
        """Seconds, peak bytes of the process, and peak bytes allocated on the GPU (0 without).

        `cpu_seconds` are of all threads, and do not grow with other jobs on the machine.
        """
        import torch

        gpu = torch.cuda.max_memory_allocated() if torch.cuda.is_available() else 0
        # ru_maxrss is in kibibytes on Linux, in bytes on macOS
        unit = 1 if sys.platform == "darwin" else 1024
        return {
            "wall_time_seconds": round(time.monotonic() - self.start, 3),
            "cpu_seconds": round(time.process_time() - self.cpu_start, 3),
            "peak_memory_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit,
            "peak_gpu_memory_bytes": gpu,
        }


def compute_setting(
    dtype: str, device: str, model: "PreTrainedModel | None" = None
) -> dict[str, Any]:
    """All that decides the last bits of a result: device, dtype, threads, choice of kernels.

    `model` gives its kind of attention. Versions of CUDA, cuDNN and the driver are those of a GPU.
    """
    import torch

    gpu = torch.cuda.get_device_name() if device == "cuda" else ""
    return {
        "device": device,
        "gpu": gpu,
        "dtype": dtype,
        "threads": torch.get_num_threads(),
        "attention": model.config._attn_implementation if model is not None else "",
        "sdpa": _attention_backends(),
        "float32_precision": _float32_precision(),
        "deterministic": torch.are_deterministic_algorithms_enabled(),
        "cublas_workspace": os.environ.get("CUBLAS_WORKSPACE_CONFIG", ""),
        **(_gpu_versions() if gpu else {}),
    }


def _attention_backends() -> list[str]:
    """Kernels enabled for `scaled_dot_product_attention`."""
    from torch.backends import cuda

    enabled = {
        "flash": cuda.flash_sdp_enabled(),
        "memory-efficient": cuda.mem_efficient_sdp_enabled(),
        "cudnn": cuda.cudnn_sdp_enabled(),
        "math": cuda.math_sdp_enabled(),
    }
    return [name for name, is_enabled in enabled.items() if is_enabled]


def _float32_precision() -> dict[str, str]:
    """Precision of float32 matmuls; "none" of a backend means the global one."""
    import torch
    from torch import backends

    try:
        whole = torch.get_float32_matmul_precision()
    except RuntimeError:  # parts were set one by one, and there is no name for the whole
        whole = ""
    parts = {
        "cuda.matmul": backends.cuda.matmul,
        "cudnn": backends.cudnn,
        "mkldnn.matmul": backends.mkldnn.matmul,  # type: ignore[attr-defined]
    }
    # torch before 2.9 has none of these
    return {"matmul": whole, **{n: getattr(p, "fp32_precision", "") for n, p in parts.items()}}


def _gpu_versions() -> dict[str, str]:
    import torch

    return {
        "cuda": str(torch.version.cuda),
        "cudnn": str(torch.backends.cudnn.version()),
        "driver": next(iter(asked_driver("driver_version")), ""),
    }


def benchmarked(file: str | Path) -> dict[str, Any]:
    """Cost of a foreign job as in `Meter.read`, from its Snakemake benchmark file."""
    with open(file, newline="") as opened:
        row = next(csv.DictReader(opened, delimiter="\t"))
    # a very short job has no measurement of memory
    megabytes = float(row["max_rss"]) if row["max_rss"] not in ("-", "NA") else 0.0
    return {
        "wall_time_seconds": float(row["s"]),
        "peak_memory_bytes": int(megabytes * 2**20),
        "peak_gpu_memory_bytes": 0,
    }
