"""Start of every rule's script."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from leap_suite.jobs.gpus import use_gpus
from leap_suite.jobs.job import job, use_threads
from leap_suite.jobs.processes import log_of

# Fixed workspaces; with others cuBLAS may split its sums differently in every run.
_CUBLAS_WORKSPACE = ":4096:8"


@contextmanager
def job_of(snakemake: Any) -> Iterator[None]:
    """Run the body as a job with the log, threads and GPUs of its rule.

    Import large libraries inside. Processes on several GPUs share the threads.
    """
    processes = int(os.environ.get("WORLD_SIZE", "1"))
    use_threads(max(1, snakemake.threads // processes))
    with job(log_of(snakemake.log[0])):
        use_gpus(snakemake.resources.get("gpu", 0))
        use_determinism(getattr(snakemake.params, "recipe", {}))
        yield


def use_determinism(recipe: Mapping[str, Any]) -> None:
    """Use deterministic kernels in this process, if its recipe has `deterministic`.

    Call it before CUDA starts. An operation without a deterministic kernel then raises
    RuntimeError. Attention keeps its fused kernels: torch runs the backward passes of flash and
    memory-efficient attention deterministically (`attention_backward.cu`) and excludes cuDNN's
    (`sdp_utils.cpp`), which is disabled here so that records say so.
    """
    if "deterministic" not in recipe:
        return
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", _CUBLAS_WORKSPACE)
    import torch

    torch.use_deterministic_algorithms(True)
    torch.backends.cudnn.deterministic = True
    torch.backends.cudnn.benchmark = False
    torch.backends.cuda.enable_cudnn_sdp(False)
