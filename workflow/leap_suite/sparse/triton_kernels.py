"""Triton kernels of `leap_suite.sparse.gpu`; importing this needs Triton.

Axes: N tokens, O outputs, I inputs, R rows and C columns of a block.
"""

import triton
import triton.language as tl


@triton.jit
def _rows(
    starts: tl.tensor, rows: tl.int32, ROWS: tl.constexpr
) -> tuple[tl.tensor, tl.tensor, tl.tensor]:
    """Rows of a program, which of them exist, and the places of their first weights."""
    rows_R = tl.program_id(0) * ROWS + tl.arange(0, ROWS)
    is_row_R = rows_R < rows
    place_R = tl.load(starts + rows_R, mask=is_row_R, other=0)
    return rows_R, is_row_R, place_R


@triton.jit
def _block(
    mask: tl.tensor,
    kept: tl.tensor,
    rows_R: tl.tensor,
    is_row_R: tl.tensor,
    place_R: tl.tensor,
    row_bytes: tl.int32,
    columns_C: tl.tensor,
) -> tuple[tl.tensor, tl.tensor]:
    """Weights [R, C] of a block, zero where the mask is, and the places of the next block."""
    is_byte = is_row_R[:, None] & (columns_C // 8 < row_bytes)[None, :]
    offsets = rows_R.to(tl.int64)[:, None] * row_bytes + (columns_C // 8)[None, :]
    bytes_RC = tl.load(mask + offsets, mask=is_byte, other=0).to(tl.int32)
    bits_RC = (bytes_RC >> (columns_C % 8)[None, :]) & 1
    counts_RC = tl.cumsum(bits_RC, axis=1)
    weights_RC = tl.load(kept + place_R[:, None] + counts_RC - 1, mask=bits_RC == 1, other=0.0)
    return weights_RC, place_R + tl.sum(bits_RC, axis=1)


@triton.jit
def linear(
    mask: tl.tensor,
    starts: tl.tensor,
    kept: tl.tensor,
    rows: tl.int32,
    row_bytes: tl.int32,
    columns: tl.int32,
    found: tl.tensor,
    inputs: tl.tensor,
    tokens: tl.int32,
    PADDED: tl.constexpr,
    WIDE: tl.constexpr,
    ROWS: tl.constexpr,
    COLUMNS: tl.constexpr,
) -> None:
    """Products [N, O] of `inputs` [N, I].

    PADDED is 1, or a number of tokens that tl.dot can multiply. WIDE multiplies in float32 there,
    with the same products: Triton's interpreter cannot multiply bfloat16.
    """
    rows_R, is_row_R, place_R = _rows(starts, rows, ROWS)
    tokens_N = tl.arange(0, PADDED)
    sums_RN = tl.zeros([ROWS, PADDED], dtype=tl.float32)
    for first in range(0, columns, COLUMNS):
        columns_C = first + tl.arange(0, COLUMNS)
        weights_RC, place_R = _block(mask, kept, rows_R, is_row_R, place_R, row_bytes, columns_C)
        is_input = (columns_C < columns)[:, None] & (tokens_N < tokens)[None, :]
        offsets = tokens_N[None, :] * columns + columns_C[:, None]
        inputs_CN = tl.load(inputs + offsets, mask=is_input, other=0.0)
        if PADDED == 1:
            products_RC = weights_RC.to(tl.float32) * tl.trans(inputs_CN).to(tl.float32)
            sums_RN += tl.sum(products_RC, axis=1)[:, None]
        elif WIDE:
            wide_RC, wide_CN = weights_RC.to(tl.float32), inputs_CN.to(tl.float32)
            sums_RN = tl.dot(wide_RC, wide_CN, sums_RN, input_precision="ieee")
        else:
            sums_RN = tl.dot(weights_RC, inputs_CN, sums_RN)
    is_found = (tokens_N < tokens)[None, :] & is_row_R[:, None]
    tl.store(found + tokens_N[None, :] * rows + rows_R[:, None], sums_RN, mask=is_found)


@triton.jit
def unpack(
    mask: tl.tensor,
    starts: tl.tensor,
    kept: tl.tensor,
    rows: tl.int32,
    row_bytes: tl.int32,
    columns: tl.int32,
    found: tl.tensor,
    ROWS: tl.constexpr,
    COLUMNS: tl.constexpr,
) -> None:
    """The dense matrix [O, I]."""
    rows_R, is_row_R, place_R = _rows(starts, rows, ROWS)
    for first in range(0, columns, COLUMNS):
        columns_C = first + tl.arange(0, COLUMNS)
        weights_RC, place_R = _block(mask, kept, rows_R, is_row_R, place_R, row_bytes, columns_C)
        is_column = is_row_R[:, None] & (columns_C < columns)[None, :]
        offsets = rows_R.to(tl.int64)[:, None] * columns + columns_C[None, :]
        tl.store(found + offsets, weights_RC, mask=is_column)
