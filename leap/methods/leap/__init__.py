"""LEAP: one Bernoulli gate per weight, relaxed with a Gumbel-sigmoid (arXiv 2605.17289).

Axes: O outputs, I inputs.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from leap.methods.leap.gate import bernoulli_gate
from leap.methods.leap.selection import masks as masks
from leap.methods.parameterisation import Draw, Parts, Start
from leap.settings import Settings


def from_settings(values: Mapping[str, Any]) -> "Leap":
    """Parameterisation; independent of the method's settings."""
    return Leap()


@dataclass(frozen=True)
class Leap:
    """One logit per weight."""

    method: ClassVar[str] = "leap"
    row_block: ClassVar[int] = 1

    def check(self, settings: Settings, has_sparse: bool) -> None:
        pass

    def first(self, start: Start) -> dict[str, Tensor]:
        std, strength = start.settings.init_std, start.settings.prior_strength
        return {"logits": first_logits(start.shape, std, start.seed, start.prior_OI, strength)}

    def gate(self, logits: Parts, weight_OI: Tensor, draw: Draw) -> tuple[Tensor, Tensor, Tensor]:
        return bernoulli_gate(logits["logits"], weight_OI, *draw.options)


def first_logits(
    shape: tuple[int, int], std: float, seed: int, prior_OI: Tensor | None, strength: float
) -> Tensor:
    """Initial logits [O, I], float32 on the CPU: N(0, std^2), shifted by a prior mask.

    P = N(0, std^2) + strength * std(P) * (+1 where the prior keeps the weight, else -1), the
    warm start of the official code. Every layer needs a seed of its own.
    """
    random = torch.Generator().manual_seed(seed)
    logits_OI = torch.empty(shape, dtype=torch.float32).normal_(0, std, generator=random)
    if prior_OI is None:
        return logits_OI
    if prior_OI.shape != logits_OI.shape:
        raise ValueError(
            f"the prior mask has shape {tuple(prior_OI.shape)}, but its layer {tuple(shape)}: "
            "it belongs to another model"
        )
    return logits_OI + strength * logits_OI.std() * (prior_OI.float() * 2 - 1)
