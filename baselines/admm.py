"""ADMM: least-squares weights of a layer under a sparsity mask that is chosen while solving.

Boza 2024, "Fast and Effective Weight Update for Pruned Large Language Models", arXiv 2401.02938,
algorithms 1 and 2. Axes: O outputs, I inputs.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from baselines.hessian import Hessian, dead_columns
from baselines.pattern import group_of
from baselines.selection import select

Statistic = Hessian


@dataclass(frozen=True)
class Settings:
    """`budget`: weights compete in the whole `layer` (as published), each `row`, `2:4`, or `4:8`.

    schedule: `cubic` raises the sparsity over the mask's iterations (the paper), `constant` has it
        in full from the first (what the public code does). N:M groups are always in full.
    iterations, mask_iterations: of ADMM, and how many of the first choose the mask anew.
    rho: ADMM's penalty. damping: of the Hessian, a fraction of its mean diagonal.
    """

    budget: str = "layer"
    schedule: str = "cubic"
    iterations: int = 20
    mask_iterations: int = 15
    rho: float = 1.0
    damping: float = 0.1


@dataclass(frozen=True)
class Inverse:
    """(H + rho)^-1 [I, I] of the damped Hessian of normalised inputs, and their norms [I].

    Features that are zero for every token have the norm 0.
    """

    inverse_II: Tensor
    norm_I: Tensor


def prepare(statistic: Hessian, settings: Settings) -> Inverse:
    """Factorise once for all layers that share this input and all iterations.

    With inputs of norm 1 the Hessian's diagonal is 1, and rho keeps the matrix far from singular.
    """
    hessian_II = statistic.take()
    norm_I = hessian_II.diagonal().sqrt()
    divisor_I = norm_I.masked_fill(norm_I == 0, 1)
    scaled_II = (hessian_II / divisor_I).div_(divisor_I[:, None])
    scaled_II.diagonal().copy_(torch.full_like(norm_I, 1 + settings.damping + settings.rho))
    lower_II = torch.linalg.cholesky(scaled_II)
    return Inverse(torch.cholesky_inverse(lower_II), norm_I)


def events(prepared: Inverse) -> dict[str, float]:
    """Dead columns."""
    return dead_columns(prepared.norm_I)


def prune(
    weight_OI: Tensor, prepared: Inverse, keep: int, settings: Settings
) -> tuple[Tensor, Tensor]:
    """Updated weight [O, I] and the mask [O, I] of the `keep` weights that survive.

    In weights times norms, with V = W + U: Z = V * mask, U = V - Z, and
    W = (H + rho)^-1 (H W0 + rho (Z - U)), which is W0 + rho (Z - U - W0) (H + rho)^-1.
    """
    if keep == weight_OI.numel():
        return weight_OI, torch.ones_like(weight_OI, dtype=torch.bool)
    dense_OI = weight_OI.float() * prepared.norm_I
    sum_OI = dense_OI.clone()
    for iteration in range(settings.iterations):
        if iteration < settings.mask_iterations:
            kept = _kept(weight_OI.numel(), keep, iteration, settings)
            mask_OI = select(sum_OI.abs(), kept, settings.budget)
        # Z - U - W0 = 2 Z - V - W0, and then V in place: U, W + U
        change_OI = (sum_OI * mask_OI).mul_(2).sub_(sum_OI).sub_(dense_OI)
        sum_OI.masked_fill_(mask_OI, 0).add_(dense_OI)
        sum_OI.addmm_(change_OI, prepared.inverse_II, alpha=settings.rho)
    dead_I = prepared.norm_I == 0
    return torch.where(dead_I, weight_OI.float(), sum_OI / prepared.norm_I), mask_OI


def _kept(total: int, keep: int, iteration: int, settings: Settings) -> int:
    """Weights that survive at this iteration: sparsity s (1 - (1 - (i + 1) / n)^3)."""
    if settings.schedule == "constant" or group_of(settings.budget):
        return keep
    reached = 1 - (1 - (iteration + 1) / settings.mask_iterations) ** 3
    return total - round((total - keep) * reached)
