"""Layer-wise Hessian of second-order methods and the factor of its inverse. I inputs, T tokens.

Replacing a layer's weights W by W + D changes its outputs by D X; the squared error is quadratic
in D with the Hessian 2 X X^T, which all rows of W share. Here it is the mean of x x^T over the
tokens: a factor changes no result, since damping is relative to the mean diagonal.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from leap.model.products import exact_products

# Damping grows tenfold after each failed factorisation, up to the mean diagonal itself.
_STRONGEST = 1.0
_PANELS = 4


class Hessian:
    """Running mean of x x^T over all calibration tokens, [I, I], in `dtype`."""

    def __init__(self, dtype: torch.dtype = torch.float32) -> None:
        self.dtype = dtype
        self.tokens = 0
        self.mean_II = torch.zeros(())

    def update(self, inputs_TI: Tensor) -> None:
        """Add the T tokens of one batch; only the upper triangle is computed, in row panels.

        Products of bfloat16 inputs are exact on every machine.
        """
        dtype, inputs_TI = inputs_TI.dtype, inputs_TI.to(self.dtype)
        tokens, width = inputs_TI.shape
        if self.tokens == 0:
            self.mean_II = inputs_TI.new_zeros(width, width)
        self.tokens += tokens
        old, new = 1 - tokens / self.tokens, 1 / self.tokens
        step = -(-width // _PANELS)
        with exact_products(dtype):
            for start in range(0, width, step):
                panel = self.mean_II[start : start + step, start:]
                left_TP = inputs_TI[:, start : start + step]
                panel.addmm_(left_TP.T, inputs_TI[:, start:], beta=old, alpha=new)

    def take(self) -> Tensor:
        """Symmetric matrix, which this object no longer keeps. Raises ValueError if not finite."""
        mean_II, self.mean_II = self.mean_II, torch.zeros(())
        if not torch.isfinite(mean_II).all():
            raise ValueError("the calibration inputs of this layer hold NaN or inf")
        return mean_II.triu_().add_(mean_II.triu(1).T)


def dead_columns(norm_I: Tensor) -> dict[str, float]:
    """Number of features that are zero for every token, as an event if there are any."""
    dead = int((norm_I == 0).sum())
    return {"dead_columns": dead} if dead else {}


@dataclass(frozen=True)
class InverseFactor:
    """Factor of the inverse Hessian, for SparseGPT and Thanos.

    upper_II: U with H^-1 = U^T U for the damped H. The inverse of H without its first k rows and
        columns is the same product of U without them.
    norm_I: root mean square of each input feature.
    dead_I: features that are zero for every token.
    damping: added to the diagonal, as a fraction of its mean.
    retries: factorisations that failed with less damping.
    """

    upper_II: Tensor
    norm_I: Tensor
    dead_I: Tensor
    damping: float
    retries: int


def prepare_factor(statistic: Hessian, settings: Any) -> InverseFactor:
    """`prepare` of SparseGPT and Thanos, whose settings have `damping` and `double`."""
    dtype = torch.float64 if settings.double else torch.float32
    return inverse_factor(statistic.take(), settings.damping, dtype)


def factor_events(factor: InverseFactor) -> dict[str, float]:
    """`events` of SparseGPT and Thanos: dead columns and damping retries."""
    retries = {"damping_retries": factor.retries, "damping": factor.damping}
    return dead_columns(factor.norm_I) | (retries if factor.retries else {})


def inverse_factor(hessian_II: Tensor, damping: float, dtype: torch.dtype) -> InverseFactor:
    """Factorise the inverse of H + damping * mean(diagonal) * identity.

    A dead feature gets a diagonal of 1 and does not count in the mean. A failed factorisation is
    retried with ten times the damping. Raises ValueError when damping would exceed the mean
    diagonal.
    """
    diagonal_I = hessian_II.diagonal().to(dtype)
    dead_I = diagonal_I == 0
    mean = diagonal_I.sum() / max(1, int((~dead_I).sum()))
    retries, strength = 0, damping
    while strength <= _STRONGEST:
        upper_II = _upper_factor(hessian_II.to(dtype), strength * mean + dead_I)
        if upper_II is not None:
            return InverseFactor(upper_II, diagonal_I.sqrt(), dead_I, strength, retries)
        retries, strength = retries + 1, strength * 10
    raise ValueError(
        f"the Hessian cannot be factorised, with damping from {damping} to {strength / 10:g} of "
        "its mean diagonal: use more calibration text, or double precision where a method has it"
    )


def _upper_factor(hessian_II: Tensor, added_I: Tensor) -> Tensor | None:
    """Upper U with U^T U = (H + diag(added))^-1; None if that matrix is not positive definite.

    With rows and columns reversed, the lower Cholesky factor is an upper one of H, whose inverse
    is U: the inverse of H itself, which is less accurate, is never formed.
    """
    turned_II = hessian_II.flip(0, 1)
    turned_II.diagonal().add_(added_I.flip(0))
    lower_II, failed = torch.linalg.cholesky_ex(turned_II)
    if failed:
        return None
    inverse_II = torch.eye(len(added_I), out=turned_II)
    torch.linalg.solve_triangular(lower_II, inverse_II, upper=False, out=inverse_II)
    del lower_II
    return inverse_II.flip(0, 1)
