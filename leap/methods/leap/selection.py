"""LEAP's mask selection: global top-k of the logits. Axes: O outputs, I inputs, N elements."""

from collections.abc import Iterator, Mapping

import torch
from torch import Tensor

from leap.budget import survivors
from leap.checks import refuse_nan
from leap.methods.parameterisation import Learned

_HALF_BITS = 16
_BINS = 2**_HALF_BITS


def masks(learned: Learned) -> dict[str, Tensor]:
    """Bool masks [O, I] by layer name, by the rule in the setting `selection`."""
    if learned.settings.selection == "threshold":
        return threshold_masks(learned.logits)
    return exact_masks(learned.logits, learned.settings.sparsity)


def exact_masks(logits: Mapping[str, Tensor], sparsity: float) -> dict[str, Tensor]:
    """Masks [O, I] of the round((1 - sparsity) * N) largest logits of the whole model.

    Ties go to the earlier layer and the lower index, so the count is exact. Logits are float32,
    in model order. The threshold is found by counting, first the upper and then the lower halves
    of the numbers' bits: one layer is in memory at a time. Raises ValueError for NaN.
    """
    total = sum(logits[name].numel() for name in logits)
    threshold, ties = _threshold(logits, survivors(total, sparsity))
    masks = {}
    for name in logits:
        key_N = _sortable(logits[name])
        tied_N = key_N == threshold
        first_N = tied_N.cumsum(0) <= ties
        masks[name] = ((key_N > threshold) | (tied_N & first_N)).view(logits[name].shape)
        ties -= min(ties, int(tied_N.sum()))
    return masks


def threshold_masks(logits: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Masks [O, I] of the positive logits (official code); the density is approximate."""
    return {name: logits[name] > 0 for name in logits}


def _threshold(logits: Mapping[str, Tensor], keep: int) -> tuple[int, int]:
    """The smallest key that is kept, and how many weights with exactly this key are."""
    upper, keep = _largest_bin((_sortable(logits[name]) >> _HALF_BITS for name in logits), keep)
    lower, keep = _largest_bin((_within(_sortable(logits[name]), upper) for name in logits), keep)
    return upper * _BINS + lower, keep


def _within(key_N: Tensor, upper: int) -> Tensor:
    """Lower halves of the keys whose upper half is `upper`."""
    return key_N[key_N >> _HALF_BITS == upper] & (_BINS - 1)


def _largest_bin(digits: Iterator[Tensor], keep: int) -> tuple[int, int]:
    """The digit of the `keep`-th largest number, and its rank among the numbers with that digit."""
    counts = torch.zeros(_BINS, dtype=torch.int64)
    for digit_N in digits:
        counts += torch.bincount(digit_N, minlength=_BINS)
    reach = counts.flip(0).cumsum(0)  # how many numbers have this digit or a larger one
    index = int(torch.searchsorted(reach, torch.tensor(max(1, keep))))
    digit = _BINS - 1 - index
    return digit, keep - int(reach[index] - counts[digit])


def _sortable(logits_OI: Tensor) -> Tensor:
    """Integers [N] in 0 .. 2^32 - 1 in the order of the float32 numbers; -0 counts as 0."""
    bits_N = refuse_nan(logits_OI).detach().cpu().float().reshape(-1).view(torch.int32).long()
    return torch.where(bits_N < 0, -bits_N - 2**31, bits_N) + 2**31
