"""The same bits from run to run, on a GPU too: the setting `deterministic` of a run."""

import os
from collections.abc import Mapping
from typing import Any

# Two fixed workspaces for each stream, without which cuBLAS may split its sums anew in every run.
_CUBLAS_WORKSPACE = ":4096:8"


def use_determinism(recipe: Mapping[str, Any]) -> None:
    """Compute in a fixed order until this process ends, if the recipe of its result says so.

    Call it before CUDA begins. An operation that torch has in no fixed order then raises
    RuntimeError. Attention keeps its fused kernels: in this mode torch itself runs the backward
    passes of flash and memory-efficient attention in a fixed order (`attention_backward.cu`) and
    leaves cuDNN's out (`sdp_utils.cpp`), which is switched off here so that records say so.
    """
    if "deterministic" not in recipe:
        return
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", _CUBLAS_WORKSPACE)
    import torch

    torch.use_deterministic_algorithms(True)
    torch.backends.cudnn.deterministic = True
    torch.backends.cudnn.benchmark = False
    torch.backends.cuda.enable_cudnn_sdp(False)
