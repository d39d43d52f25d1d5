"""Exact top-k mask of a row-sharded matrix.

Axes: O outputs, I inputs, R the rows of this process, N elements of a flattened matrix.
"""

import torch
from torch import Tensor

from leap.distributed import parallel

_HIGHEST_BIT = 30  # of a float32 that is not negative, below the sign


def largest(score_RI: Tensor, keep: int, split: bool) -> Tensor:
    """Mask [R, I] of the `keep` largest scores of the whole matrix; the first of equal scores win.

    Scores are float32 and not negative, so that their bits are in the order of the numbers. The
    smallest that is kept is found bit by bit, from counts alone: with `split` rows, processes send
    each other 32 numbers and no score, and find what one process would find.
    """
    bits_RI = score_RI.contiguous().view(torch.int32)
    threshold = torch.zeros((), dtype=torch.int32, device=score_RI.device)
    for bit in range(_HIGHEST_BIT, -1, -1):
        higher = threshold + 2**bit
        threshold = torch.where(_count(bits_RI >= higher, split) >= keep, higher, threshold)
    mask_RI = bits_RI > threshold
    missing = keep - int(_count(mask_RI, split))
    tied_N = (bits_RI == threshold).flatten().nonzero().squeeze(1)
    missing -= _before(len(tied_N), split, score_RI.device)
    mask_RI.view(-1)[tied_N[: max(0, missing)]] = True
    return mask_RI


def _count(mask_RI: Tensor, split: bool) -> Tensor:
    """Number of True elements in the whole matrix."""
    count = mask_RI.sum()
    return parallel.all_reduce(count) if split else count


def _before(own: int, split: bool, device: torch.device) -> int:
    """Sum of the numbers of all lower ranks."""
    if not split:
        return 0
    numbers = torch.zeros(parallel.world_size(), dtype=torch.int64, device=device)
    numbers[parallel.rank()] = own
    return int(parallel.all_reduce(numbers)[: parallel.rank()].sum())
