"""ALPS: a growing penalty finds which weights to keep, conjugate gradients find their values.

Meng, Behdin, Wang & Mazumder 2024, "ALPS: Improved Optimization for Highly Sparse One-Shot Pruning
for Large Language Models", arXiv 2406.07831, algorithm 1 (section 3.2) and 2 (section 3.3). Only
abstract and public code of the paper were at hand, so the constants, and when the penalty changes,
are the code's, and formulas have no numbers here.

Every iteration chooses the mask anew. Where two weights are nearly tied, rounding decides between
them; the other choice changes other places of the row too, in the end up to a hundred of the layer,
and through its outputs all later layers. Such ties cannot be avoided, but the smaller the rounding
error, the fewer it decides: so all is in double precision, from the sums over the tokens on. Most
of it came from conjugate gradients, which in single precision soon lose the conjugacy of their
directions where a few eigenvalues are large, and with it three digits of the new weights.
Axes: T tokens, O outputs, I inputs.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from baselines.selection import select

# Every few iterations the penalty follows how many places of the mask have changed since, as a
# fraction of the weights that are kept; after many iterations it is over with few changes left.
_EVERY, _PATIENCE = 3, 30
_MANY, _SOME, _FEW = 0.1, 0.005, 0.0003
_SHRINK, _LARGEST = 5.0, 1e6
_PANELS = 4


class Statistic:
    """Running mean of x x^T over all calibration tokens, [I, I], float64."""

    def __init__(self) -> None:
        self.tokens = 0
        self.mean_II = torch.zeros(())

    def update(self, inputs_TI: Tensor) -> None:
        """Add the T tokens of one batch; only the upper triangle is computed, in panels of rows."""
        inputs_TI = inputs_TI.double()
        tokens, width = inputs_TI.shape
        if self.tokens == 0:
            self.mean_II = inputs_TI.new_zeros(width, width)
        self.tokens += tokens
        old, new = 1 - tokens / self.tokens, 1 / self.tokens
        step = -(-width // _PANELS)
        for start in range(0, width, step):
            panel = self.mean_II[start : start + step, start:]
            left_TP = inputs_TI[:, start : start + step]
            panel.addmm_(left_TP.T, inputs_TI[:, start:], beta=old, alpha=new)

    def take(self) -> Tensor:
        """The whole symmetric matrix, which is the caller's from now on and no longer kept here."""
        mean_II, self.mean_II = self.mean_II, torch.zeros(())
        return mean_II.triu_().add_(mean_II.triu(1).T)


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


def prepare(statistic: Statistic, settings: Settings) -> Spectrum:
    """Decompose once for all layers that see this input and all penalties; uses `statistic` up.

    Raises ValueError where the Hessian is not finite.
    """
    hessian_II = statistic.take()
    diagonal_I = hessian_II.diagonal().clone()
    if not torch.isfinite(diagonal_I).all():  # an input that is not finite is there as its square
        raise ValueError("the calibration inputs of this layer hold NaN or inf")
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
    dead = int((prepared.norm_I == 0).sum())
    return {"dead_columns": dead} if dead else {}


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
    """Algorithm 1: weights B [O, I] whose largest are the ones to keep, in weights times norms.

    B = (H + rho)^-1 (H W0 - V + rho D), D = what the budget keeps of B + V / rho, and
    V = V + rho (B - D). So B + V / rho is D where the mask keeps it and the new V / rho where not:
    that sum and the mask are all there is to remember. B is W0 + (rho D - V - rho W0) (H + rho)^-1.

    At the start the penalty may be too large to change the mask. It is then made smaller: where
    nothing has changed the iteration goes on with it, where little has changed it begins again.
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
    """Mask of the largest absolute values, which are compared in single precision.

    Values that differ by no more than rounding are equal then, and of equal ones the first stays.
    """
    return select(value_OI.float().abs_(), keep, budget)


def _growth(changed: float) -> float:
    """By what the penalty grows where this fraction of the mask has changed."""
    return 1.3 if changed > _MANY else 1.2 if changed > _SOME else 1.1


def _solve(
    solved_OI: Tensor, missing_OI: Tensor, mask_OI: Tensor, prepared: Spectrum, steps: int
) -> Tensor:
    """Algorithm 2: conjugate gradients on H B = H W0 within the mask, for each row, from `solved`.

    `missing` is W0 minus `solved`, which is overwritten. H has a diagonal of 1: that is its
    preconditioner. A row stays as it is once its residual is no more than what rounding makes of
    the first.
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
