"""Exact selection of the weights to keep. Axes: O outputs (rows), I inputs, N elements."""

import torch
from torch import Tensor


def keep_largest(score_OI: Tensor, keep: int) -> Tensor:
    """Mask [O, I] (bool) of the `keep` largest scores of the layer; ties go to the lower index."""
    return _top(score_OI.reshape(1, -1), torch.tensor([keep])).view_as(score_OI)


def keep_largest_per_row(score_OI: Tensor, keep: int) -> Tensor:
    """Mask [O, I] (bool) of the largest scores of each row, `keep` in the whole layer.

    Each row keeps keep // O. What is left over, less than one weight a row, goes to the rows
    whose next score is largest (ties: to the lower index), so the layer's total is exact.
    """
    rows = score_OI.shape[0]
    per_row, left_over = divmod(keep, rows)
    keep_O = torch.full((rows,), per_row)
    if left_over:
        next_O = score_OI.sort(dim=1, descending=True).values[:, per_row]
        keep_O += keep_largest(next_O, left_over).cpu()
    return _top(score_OI, keep_O)


def _top(score_RN: Tensor, keep_R: Tensor) -> Tensor:
    """Mask of the keep_R[r] largest elements of row r, ties to the lower index."""
    keep_R1 = keep_R.to(score_RN.device)[:, None]
    if not torch.isfinite(score_RN).all():
        raise ValueError(
            "a pruning score is not finite: the weights or activations hold NaN or inf"
        )
    sorted_RN = score_RN.sort(dim=1, descending=True).values
    threshold_R1 = sorted_RN.gather(1, (keep_R1 - 1).clamp(min=0))
    above_RN = score_RN > threshold_R1
    tied_RN = score_RN == threshold_R1
    missing_R1 = keep_R1 - above_RN.sum(dim=1, keepdim=True)
    return (above_RN | (tied_RN & (tied_RN.cumsum(dim=1) <= missing_R1))) & (keep_R1 > 0)
