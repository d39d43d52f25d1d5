"""bf16 matmuls with fp32 accumulation."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def exact_products(dtype: torch.dtype) -> Iterator[None]:
    """Multiply float32 matrices that hold bfloat16 numbers by bf16 or TF32 instructions.

    A product of two bfloat16 numbers has 16 bits and fits into a float32, as it does into what the
    tensor cores of a GPU make of TF32 numbers: so nothing is lost for bfloat16, and nothing is
    changed for any other dtype. A machine without such instructions goes its usual way.

    Only operands that hold `dtype` numbers are exact. In a backward pass one operand is a gradient
    in float32, which such instructions round to TF32 (GPU) or bfloat16 (CPU) first; its products
    are summed in float32 all the same.
    """
    cpu = torch.backends.mkldnn.matmul  # type: ignore[attr-defined]  # made at run time
    gpu = torch.backends.cuda.matmul
    before = cpu.fp32_precision, gpu.fp32_precision
    if dtype == torch.bfloat16:
        cpu.fp32_precision, gpu.fp32_precision = "bf16", "tf32"
    try:
        yield
    finally:
        cpu.fp32_precision, gpu.fp32_precision = before
