"""ALPS: ADMM with a growing penalty selects the weights, conjugate gradients solve for them.

Meng, Behdin, Wang & Mazumder 2024, "ALPS: Improved Optimization for Highly Sparse One-Shot Pruning
for Large Language Models", arXiv 2406.07831, algorithm 1 (section 3.2) and 2 (section 3.3). Only
abstract and public code of the paper were at hand, so the constants, and when the penalty changes,
are the code's, and formulas have no numbers here.

Every iteration chooses a new mask. Rounding decides between nearly tied weights, and one other
choice changes up to a hundred mask elements of the layer in the end, and all later layers through
its outputs. Everything is therefore computed in double precision, from the sums over tokens on.
Conjugate gradients need it most: with a few large eigenvalues their directions soon lose
conjugacy in single precision, and the new weights three digits. Axes: O outputs, I inputs.
"""

from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from baselines.hessian import Hessian, dead_columns
from baselines.selection import select

# Every few iterations the penalty follows the number of mask elements that have changed since, as a
# fraction of the kept weights; after many iterations few changes are enough to stop.
_EVERY, _PATIENCE = 3, 30
_MANY, _SOME, _FEW = 0.1, 0.005, 0.0003
_SHRINK, _LARGEST = 5.0, 1e6

Statistic = partial(Hessian, torch.float64)


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

    norm_I: scales its diagonal to 1; 0 for features that are zero for every token, whose rows of
    the eigenvectors are 0.
    """

    values_I: Tensor
    vectors_II: Tensor
    norm_I: Tensor

    def times(self, left_OI: Tensor, factor_I: Tensor) -> Tensor:
        """Product of `left` and the matrix with these eigenvectors and eigenvalues `factor`."""
        return (left_OI @ self.vectors_II).mul_(factor_I) @ self.vectors_II.T


def prepare(statistic: Hessian, settings: Settings) -> Spectrum:
    """Decompose once for all layers that share this input and all penalties."""
    hessian_II = statistic.take()
    diagonal_I = hessian_II.diagonal().clone()
    dead_I = diagonal_I == 0
    mean = diagonal_I.sum() / max(1, int((~dead_I).sum()))
    norm_I = (diagonal_I + settings.damping * mean).sqrt().masked_fill_(dead_I, 1)
    hessian_II.div_(norm_I).div_(norm_I[:, None]).diagonal().fill_(1)
    values_I, vectors_II = torch.linalg.eigh(hessian_II)
    vectors_II[dead_I] = 0
    norm_I[dead_I] = 0
    return Spectrum(values_I, vectors_II, norm_I)


def events(prepared: Spectrum) -> dict[str, float]:
    """Dead columns."""
    return dead_columns(prepared.norm_I)


def prune(
    weight_OI: Tensor, prepared: Spectrum, keep: int, settings: Settings
) -> tuple[Tensor, Tensor]:
    """Updated weight [O, I], float64, and the mask [O, I] of the `keep` weights that survive.

    A kept weight of a dead feature stays as it is.
    """
    if keep in (0, weight_OI.numel()):
        return weight_OI, torch.full_like(weight_OI, keep > 0, dtype=torch.bool)
    dense_OI = weight_OI.double() * prepared.norm_I
    split_OI = _split(dense_OI, prepared, keep, settings)
    mask_OI = _largest(split_OI, keep, settings.budget)
    start_OI = split_OI.mul_(mask_OI)
    solved_OI = _solve(start_OI, dense_OI.sub_(start_OI), mask_OI, prepared, settings.steps)
    dead_I = prepared.norm_I == 0
    return torch.where(dead_I, weight_OI.double(), solved_OI / prepared.norm_I), mask_OI


def _split(dense_OI: Tensor, prepared: Spectrum, keep: int, settings: Settings) -> Tensor:
    """Algorithm 1: weights B [O, I], times norms, whose largest elements are kept.

    B = (H + rho)^-1 (H W0 - V + rho D), D = B + V / rho within the budget's mask, and
    V = V + rho (B - D). So B + V / rho is D inside the mask and the new V / rho outside: that sum
    and the mask are the whole state. B is W0 + (rho D - V - rho W0) (H + rho)^-1.

    At the start the penalty may be too large to change the mask. It is then reduced: after no
    change the iteration continues, after a small one it restarts from the dense weights.
    """
    rho, started = settings.rho, False
    mask_OI = before_OI = first_OI = _largest(dense_OI, keep, settings.budget)
    sum_OI = split_OI = dense_OI * first_OI
    for iteration in range(settings.iterations):
        split_OI = torch.where(mask_OI, sum_OI, -sum_OI).sub_(dense_OI)
        split_OI = prepared.times(split_OI, rho / (prepared.values_I + rho)).add_(dense_OI)
        sum_OI = sum_OI.masked_fill_(mask_OI, 0).add_(split_OI)
        mask_OI = _largest(sum_OI, keep, settings.budget)
        if (iteration + 1) % _EVERY:
            continue
        changed = int((mask_OI != before_OI).sum()) / keep
        if (started and not changed) or (iteration >= _PATIENCE and changed < _FEW):
            break
        before_OI = mask_OI
        started = started or changed > _SOME
        last, rho = rho, min(_LARGEST, rho * _growth(changed) if started else rho / _SHRINK)
        if started or not changed:
            sum_OI = torch.where(mask_OI, sum_OI, sum_OI * (last / rho))
        else:
            mask_OI, sum_OI = first_OI, dense_OI * first_OI
    return split_OI


def _largest(value_OI: Tensor, keep: int, budget: str) -> Tensor:
    """Mask of the largest absolute values, compared in single precision.

    Values that differ by rounding only are then equal, and the first of equals is kept.
    """
    return select(value_OI.float().abs_(), keep, budget)


def _growth(changed: float) -> float:
    """Factor of the penalty after this fraction of the mask has changed."""
    return 1.3 if changed > _MANY else 1.2 if changed > _SOME else 1.1


def _solve(
    solved_OI: Tensor, missing_OI: Tensor, mask_OI: Tensor, prepared: Spectrum, steps: int
) -> Tensor:
    """Algorithm 2: conjugate gradients on H B = H W0 within the mask, for each row, from `solved`.

    `missing` is W0 minus `solved`; both are overwritten. The diagonal of H, its preconditioner, is
    1. A row is final once its residual is at the rounding error of its first one.
    """
    residual_OI = missing_OI.copy_(prepared.times(missing_OI, prepared.values_I)).mul_(mask_OI)
    direction_OI = residual_OI.clone()
    square_O1 = residual_OI.square().sum(dim=1, keepdim=True)
    least_O1 = square_O1 * torch.finfo(square_O1.dtype).eps ** 2
    for _ in range(steps):
        image_OI = prepared.times(direction_OI, prepared.values_I).mul_(mask_OI)
        curvature_O1 = (direction_OI * image_OI).sum(dim=1, keepdim=True)
        open_O1 = (square_O1 > least_O1) & (curvature_O1 > 0)
        length_O1 = torch.where(open_O1, square_O1 / curvature_O1, 0)
        solved_OI.addcmul_(length_O1, direction_OI)
        residual_OI.sub_(image_OI.mul_(length_O1))
        last_O1, square_O1 = square_O1, residual_OI.square().sum(dim=1, keepdim=True)
        turn_O1 = torch.where(open_O1, square_O1 / last_O1, 0)
        direction_OI.mul_(turn_O1).add_(residual_OI)
    return solved_OI
