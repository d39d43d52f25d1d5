"""Exact top-k masks: the largest scores of each row, of a whole model, or of a sharded matrix.

Exactly `keep` scores are kept; ties go to the first ones. Axes: R rows that compete separately,
N scores of a row.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

# A count [R, 1] summed over all processes, and over the processes before this one
Totals = Callable[[Tensor], tuple[Tensor, Tensor]]

_INTEGERS = {2: torch.int16, 4: torch.int32, 8: torch.int64}  # by bytes
_IN_CACHE = 2**18  # scores that a CPU compares and counts at a time


def single_process(count_R1: Tensor) -> tuple[Tensor, Tensor]:
    """Totals of a single process."""
    return count_R1, torch.zeros_like(count_R1)


def largest(parts: Sequence[Tensor], keep: int, totals: Totals = single_process) -> list[Tensor]:
    """Bool masks [R, N] of the `keep` largest scores of each row, which continues over all parts.

    `parts` are floats [R, N] without NaN; a row continues over all processes behind `totals` too.
    """
    if keep == 0:
        return [torch.zeros_like(part_RN, dtype=torch.bool) for part_RN in parts]
    threshold_R1 = _threshold(parts, keep, totals)
    masks = [part_RN >= threshold_R1 for part_RN in parts]
    surplus_R1 = totals(_count(parts, torch.ge, threshold_R1))[0] - keep
    if surplus_R1.any():
        ties_R1, before_R1 = totals(_count(parts, torch.eq, threshold_R1))
        kept_R1 = ties_R1 - surplus_R1 - before_R1
        for part_RN, mask_RN in zip(parts, masks, strict=True):
            rank_RN = (part_RN == threshold_R1).cumsum(dim=1)
            mask_RN &= (part_RN > threshold_R1) | (rank_RN <= kept_R1)
            kept_R1 = kept_R1 - _count([part_RN], torch.eq, threshold_R1)
    return masks


def _threshold(parts: Sequence[Tensor], keep: int, totals: Totals) -> Tensor:
    """The `keep`-th largest score of each row, [R, 1].

    Found bit by bit from counts alone, except for one part on a CPU, where `kthvalue` is faster (a
    GPU computes each row of it, and so a whole layer, in one thread block).
    """
    first_RN = parts[0]
    if len(parts) == 1 and totals is single_process and not first_RN.is_cuda:
        return first_RN.kthvalue(first_RN.shape[1] - keep + 1, dim=1, keepdim=True).values
    kind = _INTEGERS[first_RN.element_size()]
    key_R1 = first_RN.new_full((len(first_RN), 1), torch.iinfo(kind).min, dtype=kind)
    for bit in reversed(range(torch.iinfo(kind).bits)):
        higher_R1 = key_R1 ^ (torch.ones_like(key_R1) << bit)
        score_R1 = _ordered(higher_R1).view(first_RN.dtype)
        count_R1, _ = totals(_count(parts, torch.ge, score_R1))
        key_R1 = torch.where(count_R1 >= keep, higher_R1, key_R1)
    # below -inf are the bits of NaN
    return _ordered(key_R1).view(first_RN.dtype).nan_to_num(-torch.inf, torch.inf, -torch.inf)


def _ordered(bits_R1: Tensor) -> Tensor:
    """Integers in the order of the floats with these bits; its own inverse."""
    limits = torch.iinfo(bits_R1.dtype)
    return bits_R1 ^ ((bits_R1 >> (limits.bits - 1)) & limits.max)


def _count(parts: Sequence[Tensor], compare: Callable[..., Tensor], score_R1: Tensor) -> Tensor:
    """Number [R, 1] of scores in each row for which the comparison holds."""
    widths = [part_RN.shape[1] if part_RN.is_cuda else _IN_CACHE for part_RN in parts]
    counts = [
        compare(piece_RN, score_R1).sum(dim=1, keepdim=True)
        for part_RN, width in zip(parts, widths, strict=True)
        for piece_RN in part_RN.split(width, dim=1)
    ]
    return torch.stack(counts).sum(dim=0)
