"""Compute dtype: the model's, or float32 on a CPU without bfloat16 instructions."""

import re
from pathlib import Path

_CPUINFO = Path("/proc/cpuinfo")
_FLAGS = {"avx512_bf16", "amx_bf16", "bf16"}  # the last one is Arm's


def compute_dtype(dtype: str, device: str) -> str:
    """`dtype`, or float32 for bfloat16 on a CPU that would emulate it.

    Emulated bfloat16 is 40 to 500 times slower than float32; the weights are the same numbers.
    """
    emulated = dtype == "bfloat16" and device == "cpu" and not has_bfloat16()
    return "float32" if emulated else dtype


def has_bfloat16() -> bool:
    """Whether the CPU has bfloat16 instructions; true if that cannot be read."""
    if not _CPUINFO.is_file():
        return True
    lines = re.findall(r"^(?:flags|Features)\s*:(.*)$", _CPUINFO.read_text(), flags=re.MULTILINE)
    return not lines or bool(_FLAGS & set(lines[0].split()))


def notice(dtypes: set[str], gpus: bool) -> str:
    """Warning for a run with models of these dtypes on this machine, or ""."""
    if gpus or "bfloat16" not in dtypes or has_bfloat16():
        return ""
    return (
        "This CPU has no instructions for bfloat16: models with dtype bfloat16 are computed in "
        "float32, from the same weights, and results record it."
    )
