"""Deterministic kernels on GPUs, for the setting `deterministic`."""

import os
from collections.abc import Mapping
from typing import Any

# Fixed workspaces; with others cuBLAS may split its sums differently in every run.
_CUBLAS_WORKSPACE = ":4096:8"


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
