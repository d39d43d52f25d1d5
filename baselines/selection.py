"""Exact selection of the weights to keep. Axes: O outputs (rows), I inputs, R rows, N columns."""

import torch
from torch import Tensor

from baselines.pattern import group_of
from leap import topk


def select(score_OI: Tensor, keep: int, budget: str) -> Tensor:
    """Mask [O, I] (bool) of the `keep` largest scores within a budget.

    `layer`: scores compete in the layer; `row`: in each row; "N:M": in each M neighbours of a row.
    """
    group = group_of(budget)
    if group:
        return keep_n_of_m(score_OI, *group)
    return {"layer": keep_largest, "row": keep_largest_per_row}[budget](score_OI, keep)


def keep_largest(score_OI: Tensor, keep: int) -> Tensor:
    """Mask [O, I] (bool) of the `keep` largest scores of the layer; ties go to the lower index."""
    return _top(score_OI.reshape(1, -1), keep).view_as(score_OI)


def keep_largest_per_row(score_OI: Tensor, keep: int) -> Tensor:
    """Mask [O, I] (bool) of the largest scores of each row, `keep` in the whole layer.

    Each row keeps keep // O. The remainder, less than one weight per row, goes to the rows whose
    next score is largest (ties: to the lower index), so the layer's total is exact.
    """
    per_row, left_over = divmod(keep, score_OI.shape[0])
    mask_OI = _top(score_OI, per_row)
    if left_over:
        next_O, index_O = score_OI.masked_fill(mask_OI, -torch.inf).max(dim=1)
        fortunate_O = _top(next_O[None], left_over)[0]
        mask_OI[fortunate_O, index_O[fortunate_O]] = True
    return mask_OI


def keep_n_of_m(score_OI: Tensor, kept: int, group: int) -> Tensor:
    """Mask [O, I] of the `kept` largest of every `group` neighbours of a row; ties: lower index.

    Raises ValueError where the rows are not a multiple of the group.
    """
    rows, columns = score_OI.shape
    if columns % group:
        raise ValueError(f"rows of {columns} weights cannot be cut into groups of {group}")
    return _top(score_OI.reshape(-1, group), kept).view(rows, columns)


def _top(score_RN: Tensor, keep: int) -> Tensor:
    """Mask of the `keep` largest elements of every row, ties to the lower index."""
    if not torch.isfinite(score_RN).all():
        raise ValueError(
            "a pruning score is not finite: the weights or activations hold NaN or inf"
        )
    return topk.largest([score_RN], keep)[0]
