"""Exact selection of the weights to keep. Axes: O outputs (rows), I inputs, N elements."""

import torch
from torch import Tensor

from baselines.pattern import group_of

_INTEGERS = {2: torch.int16, 4: torch.int32, 8: torch.int64}  # by bytes


def select(score_OI: Tensor, keep: int, budget: str) -> Tensor:
    """Mask [O, I] (bool) of the `keep` largest scores, which compete as `budget` says.

    `layer`: all of the layer; `row`: each row; "N:M": each M neighbours of a row.
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

    Each row keeps keep // O. What is left over, less than one weight a row, goes to the rows
    whose next score is largest (ties: to the lower index), so the layer's total is exact.
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

    Raises ValueError where rows cannot be cut into such groups.
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
    if keep == 0:
        return torch.zeros_like(score_RN, dtype=torch.bool)
    threshold_R1 = (_largest_by_bits if score_RN.is_cuda else _largest)(score_RN, keep)
    mask_RN = score_RN >= threshold_R1
    surplus_R = mask_RN.sum(dim=1) - keep
    if surplus_R.any():
        tied_RN = score_RN == threshold_R1
        rank_RN = tied_RN.flip(1).cumsum(dim=1).flip(1)  # the last of the tied has rank 1
        mask_RN &= ~(tied_RN & (rank_RN <= surplus_R[:, None]))
    return mask_RN


def _largest(score_RN: Tensor, rank: int) -> Tensor:
    """The `rank`-th largest element of every row, [R, 1]."""
    return score_RN.kthvalue(score_RN.shape[1] - rank + 1, dim=1, keepdim=True).values


def _largest_by_bits(score_RN: Tensor, rank: int) -> Tensor:
    """The same for GPUs, where `kthvalue` gives a row, and so a whole layer, to one thread block.

    The number is found bit by bit, from the highest: a bit is set where at least `rank` elements
    are as large with it.
    """
    kind = _INTEGERS[score_RN.element_size()]
    key_RN = _in_order((score_RN + 0.0).view(kind))  # -0 counts as 0
    found_R1 = torch.full_like(key_RN[:, :1], torch.iinfo(kind).min)
    for bit in reversed(range(torch.iinfo(kind).bits)):
        larger_R1 = found_R1 ^ (torch.ones_like(found_R1) << bit)
        enough_R1 = (key_RN >= larger_R1).sum(dim=1, keepdim=True) >= rank
        found_R1 = torch.where(enough_R1, larger_R1, found_R1)
    return _in_order(found_R1).view(score_RN.dtype)


def _in_order(bits_RN: Tensor) -> Tensor:
    """Integers in the order of the floats with these bits; twice, it gives the bits back."""
    limits = torch.iinfo(bits_RN.dtype)
    return bits_RN ^ ((bits_RN >> (limits.bits - 1)) & limits.max)
