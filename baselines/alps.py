"""ALPS: a growing penalty finds which weights to keep, conjugate gradients find their values.

Meng, Behdin, Wang & Mazumder 2024, "ALPS: Improved Optimization for Highly Sparse One-Shot Pruning
for Large Language Models", arXiv 2406.07831, algorithm 1 (section 3.2) and 2 (section 3.3). Only
abstract and public code of the paper were at hand, so the constants, and when the penalty changes,
are the code's, and formulas have no numbers here. Axes: O outputs, I inputs.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from baselines.hessian import Hessian
from baselines.selection import select

Statistic = Hessian

# Every few iterations the penalty follows how many places of the mask have changed since, as a
# fraction of the weights that are kept; after many iterations it is over with few changes left.
_EVERY, _PATIENCE = 3, 30
_MANY, _SOME, _FEW = 0.1, 0.005, 0.0003
_SHRINK, _LARGEST = 5.0, 1e6


@dataclass(frozen=True)
class Settings:
    """`budget`: weights compete in the whole `layer` (as published), each `row`, `2:4`, or `4:8`.

    rho: the first penalty. iterations: at most, for the mask. steps: of conjugate gradients, for
        the weights. damping: of the Hessian, a fraction of its mean diagonal.
    """

    budget: str = "layer"
    rho: float = 0.1
    iterations: int = 300
    steps: int = 10
    damping: float = 0.01


@dataclass(frozen=True)
class Spectrum:
    """Eigenvalues [I] and eigenvectors [I, I], as columns, of the damped and scaled Hessian H.

    norm_I: what scales its diagonal to 1; 0 for features that are zero for every token, which
    have no part in the eigenvectors.
    """

    values_I: Tensor
    vectors_II: Tensor
    norm_I: Tensor

    def times(self, left_OI: Tensor, factor_I: Tensor) -> Tensor:
        """`left` times the matrix with these eigenvectors and the eigenvalues `factor`."""
        return (left_OI @ self.vectors_II).mul_(factor_I) @ self.vectors_II.T


def prepare(statistic: Hessian, settings: Settings) -> Spectrum:
    """Decompose once, in double precision, for all layers that see this input and all penalties.

    Raises ValueError where the Hessian is not finite.
    """
    hessian_II = statistic.matrix()
    diagonal_I = hessian_II.diagonal().double()
    dead_I = diagonal_I == 0
    mean = diagonal_I.sum() / max(1, int((~dead_I).sum()))
    norm_I = (diagonal_I + settings.damping * mean).sqrt().masked_fill_(dead_I, 1)
    scaled_II = (hessian_II / norm_I).div_(norm_I[:, None])
    scaled_II.diagonal().fill_(1)
    values_I, vectors_II = torch.linalg.eigh(scaled_II)
    del scaled_II  # as large as what comes of it
    vectors_II[dead_I] = 0
    norm_I[dead_I] = 0
    dtype = hessian_II.dtype
    return Spectrum(values_I.to(dtype), vectors_II.to(dtype), norm_I.to(dtype))


def events(prepared: Spectrum) -> dict[str, float]:
    """Dead columns."""
    dead = int((prepared.norm_I == 0).sum())
    return {"dead_columns": dead} if dead else {}


def prune(
    weight_OI: Tensor, prepared: Spectrum, keep: int, settings: Settings
) -> tuple[Tensor, Tensor]:
    """Updated weight [O, I] and the mask [O, I] of the `keep` weights that survive.

    A kept weight of a dead feature stays as it is.
    """
    if keep in (0, weight_OI.numel()):
        return weight_OI, torch.full_like(weight_OI, keep > 0, dtype=torch.bool)
    dense_OI = weight_OI.float() * prepared.norm_I
    split_OI = _split(dense_OI, prepared, keep, settings)
    mask_OI = select(split_OI.abs(), keep, settings.budget)
    solved_OI = _solve(split_OI.mul_(mask_OI), dense_OI, mask_OI, prepared, settings.steps)
    dead_I = prepared.norm_I == 0
    return torch.where(dead_I, weight_OI.float(), solved_OI / prepared.norm_I), mask_OI


def _split(dense_OI: Tensor, prepared: Spectrum, keep: int, settings: Settings) -> Tensor:
    """Algorithm 1: weights B [O, I] whose largest are the ones to keep, in weights times norms.

    B = (H + rho)^-1 (H W0 - V + rho D), D = what the budget keeps of B + V / rho, and
    V = V + rho (B - D). So B + V / rho is D where the mask keeps it and the new V / rho where not:
    that sum and the mask are all there is to remember. B is W0 + (rho D - V - rho W0) (H + rho)^-1.
    """
    rho, started = settings.rho, False
    mask_OI = before_OI = first_OI = select(dense_OI.abs(), keep, settings.budget)
    sum_OI = split_OI = dense_OI * first_OI
    for iteration in range(settings.iterations):
        change_OI = torch.where(mask_OI, sum_OI, -sum_OI).sub_(dense_OI)
        split_OI = prepared.times(change_OI, rho / (prepared.values_I + rho)).add_(dense_OI)
        sum_OI = sum_OI.masked_fill(mask_OI, 0).add_(split_OI)
        mask_OI = select(sum_OI.abs(), keep, settings.budget)
        if (iteration + 1) % _EVERY:
            continue
        changed = int((mask_OI != before_OI).sum()) / keep
        if (started and not changed) or (iteration >= _PATIENCE and changed < _FEW):
            break
        started = started or changed > _SOME
        if not started:
            rho, mask_OI, sum_OI = rho / _SHRINK, first_OI, dense_OI * first_OI
        else:
            last, rho = rho, min(_LARGEST, rho * _growth(changed))
            sum_OI = torch.where(mask_OI, sum_OI, sum_OI * (last / rho))
        before_OI = mask_OI
    return split_OI


def _growth(changed: float) -> float:
    """By what the penalty grows where this fraction of the mask has changed."""
    return 1.3 if changed > _MANY else 1.2 if changed > _SOME else 1.1


def _solve(
    start_OI: Tensor, dense_OI: Tensor, mask_OI: Tensor, prepared: Spectrum, steps: int
) -> Tensor:
    """Algorithm 2: conjugate gradients on H B = H W0 within the mask, for each row, from `start`.

    H has a diagonal of 1: that is its preconditioner. A row stays as it is once its residual is no
    more than what rounding makes of the first.
    """
    solved_OI = start_OI
    residual_OI = prepared.times(dense_OI - start_OI, prepared.values_I).mul_(mask_OI)
    direction_OI = residual_OI
    square_O1 = residual_OI.square().sum(dim=1, keepdim=True)
    least_O1 = square_O1 * torch.finfo(square_O1.dtype).eps ** 2
    for _ in range(steps):
        image_OI = prepared.times(direction_OI, prepared.values_I).mul_(mask_OI)
        curvature_O1 = (direction_OI * image_OI).sum(dim=1, keepdim=True)
        open_O1 = (square_O1 > least_O1) & (curvature_O1 > 0)
        length_O1 = torch.where(open_O1, square_O1 / curvature_O1, 0)
        solved_OI = solved_OI + length_O1 * direction_OI
        residual_OI = residual_OI - length_O1 * image_OI
        last_O1, square_O1 = square_O1, residual_OI.square().sum(dim=1, keepdim=True)
        turn_O1 = torch.where(open_O1, square_O1 / last_O1, 0)
        direction_OI = residual_OI + turn_O1 * direction_OI
    return solved_OI
