"""GPU kernels for packed weights, in Triton.

The mask and the kept weights are read once for up to sixteen tokens, and decompressed in registers:
a running count of the mask's ones is the place of each weight. For more tokens, the dense matrix is
written once and multiplied by torch.

Axes: N tokens, O outputs, I inputs, R rows and C columns of a block.
"""

import logging
from functools import cache
from importlib.util import find_spec
from typing import Any

import torch
from torch import Tensor

MOST_TOKENS = 16
_DOT = 16  # least size of a dimension in Triton's matrix product
_ROWS = 16
_COLUMNS = 128


@cache
def is_available() -> bool:
    """Whether Triton is installed. A line in the log says so where it is not."""
    if find_spec("triton") is None:
        logging.getLogger(__name__).warning(
            "the GPU kernel for packed weights needs the package triton: products are dense, at "
            "dense speed"
        )
        return False
    return True


def linear(tokens_NI: Tensor, mask: Tensor, starts: Tensor, kept: Tensor) -> Tensor:
    """Tokens times the transposed packed matrix, [N, O], all in bfloat16, with float32 sums."""
    tokens, columns = tokens_NI.shape
    if tokens > MOST_TOKENS:
        weight_OI = unpack(mask, starts, kept, columns)
        return torch.nn.functional.linear(tokens_NI, weight_OI)
    found_NO = tokens_NI.new_empty(tokens, len(mask))
    padded, wide = 1 if tokens == 1 else _DOT, not tokens_NI.is_cuda
    inputs = tokens_NI.contiguous(), tokens, padded, wide
    _run("linear", mask, starts, kept, columns, found_NO, *inputs)
    return found_NO


def unpack(mask: Tensor, starts: Tensor, kept: Tensor, columns: int) -> Tensor:
    """The dense matrix [O, I]."""
    found_OI = kept.new_empty(len(mask), columns)
    _run("unpack", mask, starts, kept, columns, found_OI)
    return found_OI


def _run(
    name: str, mask: Tensor, starts: Tensor, kept: Tensor, columns: int, *arguments: Any
) -> None:
    rows, row_bytes = mask.shape
    grid = (-(-rows // _ROWS),)
    _kernels()[name][grid](
        mask, starts, kept, rows, row_bytes, columns, *arguments, ROWS=_ROWS, COLUMNS=_COLUMNS
    )


@cache
def _kernels() -> dict[str, Any]:
    from leap_suite.sparse import triton_kernels

    return {"linear": triton_kernels.linear, "unpack": triton_kernels.unpack}
