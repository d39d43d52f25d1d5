"""Thanos: block by block, all removed weights of a row are removed jointly.

Ilin & Richtarik 2025, "Thanos: A Block-wise Pruning Algorithm for Efficient Large Language Model
Compression", arXiv 2504.05346, the unstructured variant. Written from the description of the
method, without its public code at hand; uncertain are the damping (SparseGPT's here), and that
masks are chosen by the norms of the inputs as they were before the block's update.
Axes: O outputs, I inputs, B columns of a block, R columns from the block to the right, Q removed
weights of a row.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from baselines.hessian import Hessian, InverseFactor, factor_events, prepare_factor
from baselines.selection import keep_largest

Statistic = Hessian
prepare = prepare_factor
events = factor_events

# Rows whose systems are solved together: bounds memory at this times block^2 numbers.
_ROWS = 1024


@dataclass(frozen=True)
class Settings:
    """`block`: columns of a block; `damping`: of the Hessian, a fraction of its mean diagonal.

    double: factorise and update in float64.
    """

    block: int = 128
    damping: float = 0.01
    double: bool = False


def prune(
    weight_OI: Tensor, factor: InverseFactor, keep: int, settings: Settings
) -> tuple[Tensor, Tensor]:
    """Updated weight [O, I] and the mask [O, I] of the `keep` surviving weights.

    Before each block the weights to remove are chosen again among all remaining columns of the
    layer, by Wanda's score of the current weights and with the remaining budget; those inside the
    block are removed.
    """
    upper_II = factor.upper_II
    weight_OI = weight_OI.to(upper_II.dtype, copy=True)
    kept_OI = torch.ones_like(weight_OI, dtype=torch.bool)
    to_remove = weight_OI.numel() - keep
    for start in range(0, weight_OI.shape[1], settings.block):
        rest_OR = weight_OI[:, start:]
        score_OR = rest_OR.abs() * factor.norm_I[start:]
        kept_OB = keep_largest(score_OR, score_OR.numel() - to_remove)[:, : settings.block]
        to_remove -= int((~kept_OB).sum())
        block = slice(start, start + kept_OB.shape[1])
        kept_OI[:, block] = kept_OB
        # rows of the inverse Hessian of the columns from here on
        inverse_BR = upper_II[block, block].T @ upper_II[block, start:]
        multiplier_OB = _multipliers(weight_OI[:, block], ~kept_OB, inverse_BR)
        rest_OR.addmm_(multiplier_OB, inverse_BR, alpha=-1)
    return weight_OI, kept_OI


def _multipliers(weight_OB: Tensor, removed_OB: Tensor, inverse_BR: Tensor) -> Tensor:
    """w_q (H^-1_qq)^-1 in the removed columns q of every row, and zero elsewhere."""
    inverse_BB = inverse_BR[:, : weight_OB.shape[1]]
    chunks = zip(weight_OB.split(_ROWS), removed_OB.split(_ROWS), strict=True)
    return torch.cat([_solve(w, removed, inverse_BB) for w, removed in chunks])


def _solve(weight_OB: Tensor, removed_OB: Tensor, inverse_BB: Tensor) -> Tensor:
    """Solve the systems of all rows, padded to the longest with rows of the identity."""
    most = int(removed_OB.sum(dim=1).max())
    order_OB = removed_OB.to(torch.uint8).argsort(dim=1, descending=True, stable=True)
    column_OQ = order_OB[:, :most]
    real_OQ = removed_OB.gather(1, column_OQ)
    system_OQQ = inverse_BB[column_OQ[:, :, None], column_OQ[:, None, :]]
    identity_QQ = torch.eye(most, dtype=inverse_BB.dtype, device=inverse_BB.device)
    both_OQQ = real_OQ[:, :, None] & real_OQ[:, None, :]
    system_OQQ = torch.where(both_OQQ, system_OQQ, identity_QQ)
    lower_OQQ, failed_O = torch.linalg.cholesky_ex(system_OQQ)
    if failed_O.any():
        raise ValueError(
            "a row's system cannot be solved: set a larger damping, double: true, or more "
            "calibration text"
        )
    weight_OQ1 = (weight_OB.gather(1, column_OQ) * real_OQ)[:, :, None]
    solved_OQ = torch.cholesky_solve(weight_OQ1, lower_OQQ)[:, :, 0]
    return torch.zeros_like(weight_OB).scatter_(1, column_OQ, solved_OQ)
