"""CPU kernels: `kernel.cpp`, `dense.cpp`, built by torch's extension loader at first use."""

import hashlib
import logging
import os
import platform
import shutil
import tempfile
from functools import cache
from pathlib import Path

import torch

SOURCES = [Path(__file__).with_name(name) for name in ("kernel.cpp", "dense.cpp")]
MOST_TOKENS = 16  # with more, a dense product is faster

# without -lgomp, since the functions of torch's own copy, and so its threads, are to be used
_FLAGS = ["-O3", "-std=c++20", "-fopenmp"]


@cache
def instructions() -> str:
    """Instructions that the kernels use on this machine: avx512_bf16, avx2, or none of them.

    A line in the log says why where there are none; products are dense then.
    """
    if platform.machine() not in ("x86_64", "AMD64"):
        return _none(f"is for x86, not for {platform.machine()}")
    try:
        _load_library()
    except (OSError, RuntimeError, ImportError) as error:
        return _none(f"could not be built ({str(error).splitlines()[0]})")
    found: str = torch.ops.bitmask.instructions()
    return found or _none("needs a CPU with AVX2")


def _none(reason: str) -> str:
    logging.getLogger(__name__).warning(
        "the CPU kernel for packed weights %s: products are dense, at dense speed", reason
    )
    return ""


def _load_library() -> None:
    """Load the built kernels, after building them in a folder of its own, for this torch."""
    from torch.utils.cpp_extension import get_default_build_root, load

    root = Path(os.environ.get("TORCH_EXTENSIONS_DIR") or get_default_build_root())
    known = f"{torch.__version__} {_FLAGS} {[source.read_text() for source in SOURCES]}"
    library = root / f"leap-suite-{hashlib.sha256(known.encode()).hexdigest()[:16]}.so"
    if library.is_file():
        torch.ops.load_library(library)
        return
    root.mkdir(parents=True, exist_ok=True)
    # no lock, which a killed process would leave behind
    with tempfile.TemporaryDirectory(dir=root) as folder:
        load("bitmask", list(map(str, SOURCES)), extra_cflags=_FLAGS, build_directory=folder,
             is_python_module=False)  # fmt: skip
        shutil.copy(f"{folder}/bitmask.so", f"{folder}/finished.so")
        os.replace(f"{folder}/finished.so", library)


def linear(
    tokens_NI: torch.Tensor, mask: torch.Tensor, starts: torch.Tensor, kept: torch.Tensor
) -> torch.Tensor:
    """Tokens times the transposed packed matrix, [N, O], all in bfloat16, with float32 sums."""
    if len(tokens_NI) <= MOST_TOKENS:
        return torch.ops.bitmask.linear(tokens_NI, mask, starts, kept, instructions())
    # in float32 for AVX2: torch's products of many tokens in bfloat16 are slow without AVX-512
    dense = torch.ops.bitmask.unpack(mask, starts, kept, instructions())
    weight_OI = dense[:, : tokens_NI.shape[1]]
    return torch.nn.functional.linear(tokens_NI.to(weight_OI.dtype), weight_OI).bfloat16()


def can_multiply(tokens_NI: torch.Tensor, weight_OI: torch.Tensor) -> bool:
    """Whether there is a kernel for this product with a dense matrix: of one token, in bfloat16."""
    return (
        tokens_NI.shape[0] == 1
        and tokens_NI.dtype == weight_OI.dtype == torch.bfloat16
        and tokens_NI.device.type == "cpu"
        and weight_OI.shape[1] % 64 == 0
        and weight_OI.is_contiguous()
        and bool(instructions())
    )


def dense(token_NI: torch.Tensor, weight_OI: torch.Tensor) -> torch.Tensor:
    """One token times the transposed dense matrix, [1, O], with float32 sums."""
    return torch.ops.bitmask.dense(token_NI.contiguous(), weight_OI, instructions())
