"""SparseGPT: column by column, weights to the right compensate the error of each removed weight.

Frantar & Alistarh 2023, "SparseGPT: Massive Language Models Can Be Accurately Pruned in One-Shot",
arXiv 2301.00774, algorithm 1. Axes: O outputs, I inputs, B columns of a block, G of a group.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from baselines.hessian import Hessian, InverseFactor, factor_events, prepare_factor
from baselines.pattern import group_of
from baselines.selection import keep_largest, keep_n_of_m

Statistic = Hessian
prepare = prepare_factor
events = factor_events

# Columns between two matrix products within a block; any number gives the same result.
_STRIDE = 32


@dataclass(frozen=True)
class Settings:
    """`budget`: weights compete within each `block` of columns (as published), `2:4`, or `4:8`.

    block: columns of a block. damping: added to the Hessian, a fraction of its mean diagonal.
    double: factorise and update in float64.
    """

    budget: str = "block"
    block: int = 128
    damping: float = 0.01
    double: bool = False


def prune(
    weight_OI: Tensor, factor: InverseFactor, keep: int, settings: Settings
) -> tuple[Tensor, Tensor]:
    """Updated weight [O, I] and the mask [O, I] of the `keep` surviving weights.

    The mask of a block is chosen by w^2 / U_jj^2 right before its sweep, that of an N:M group right
    before its first column. The public code removes one weight too many in every block, and all
    ties; here every block removes its exact share, dead columns before all others.
    """
    upper_II = factor.upper_II
    # transposed, so that weights that are updated together are contiguous
    weight_IO = weight_OI.to(upper_II.dtype).T.contiguous()
    kept_IO = torch.ones_like(weight_IO, dtype=torch.bool)
    group = group_of(settings.budget)
    columns, rows = weight_IO.shape
    removed_I = _shares(columns * rows - keep, factor.dead_I, rows)
    for start in range(0, columns, settings.block):
        block = slice(start, min(start + settings.block, columns))
        weight_BO, kept_BO, upper_BB = weight_IO[block], kept_IO[block], upper_II[block, block]
        if group is None:
            score_BO = _score(weight_BO, upper_BB).masked_fill(factor.dead_I[block, None], -1)
            removed = int(removed_I[block].sum())
            kept_BO.copy_(keep_largest(score_BO, score_BO.numel() - removed))
        error_BO = _sweep(weight_BO, kept_BO, upper_BB, group)
        weight_IO[block.stop :].addmm_(upper_II[block, block.stop :].T, error_BO, alpha=-1)
    return weight_IO.T, kept_IO.T


def _shares(remove: int, dead_I: Tensor, rows: int) -> Tensor:
    """Number of removed weights of each column: dead columns first, the others evenly."""
    from_dead = min(remove, int(dead_I.sum()) * rows)
    return _evenly(from_dead, dead_I) + _evenly(remove - from_dead, ~dead_I)


def _evenly(total: int, among_I: Tensor) -> Tensor:
    """`total` as integers over the columns `among_I`; every prefix is within one of its share."""
    count_I = among_I.long().cumsum(0)
    reached_I = total * count_I // max(1, int(count_I[-1]))
    return reached_I.diff(prepend=reached_I.new_zeros(1))


def _score(weight_BO: Tensor, upper_BB: Tensor) -> Tensor:
    """Cost of removing each weight: w^2 / U_jj^2, the optimal brain surgeon's up to a factor."""
    return (weight_BO / upper_BB.diagonal()[:, None]).square()


def _sweep(
    weight_BO: Tensor, kept_BO: Tensor, upper_BB: Tensor, group: tuple[int, int] | None
) -> Tensor:
    """Remove and update within a block, in place; the errors [B, O] for the columns outside."""
    error_BO = torch.empty_like(weight_BO)
    columns = len(weight_BO)
    for start in range(0, columns, _STRIDE):
        end = min(start + _STRIDE, columns)
        for j in range(start, end):
            if group and j % group[1] == 0:
                g = slice(j, j + group[1])
                score_OG = _score(weight_BO[g], upper_BB[g, g]).T
                kept_BO[g] = keep_n_of_m(score_OG, *group).T
            error_BO[j] = weight_BO[j].masked_fill(kept_BO[j], 0) / upper_BB[j, j]
            weight_BO[j:end].addr_(upper_BB[j, j:end], error_BO[j], alpha=-1)
        weight_BO[end:].addmm_(upper_BB[start:end, end:].T, error_BO[start:end], alpha=-1)
    return error_BO
