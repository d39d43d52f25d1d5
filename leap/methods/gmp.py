"""Gradual magnitude pruning: weights trained while their sparsity rises to the target.

Zhu and Gupta 2017, "To prune, or not to prune: exploring the efficacy of pruning for model
compression", arXiv 1710.01878, whose sparsity at step t of a ramp of T steps is
s(t) = s * (1 - (1 - t / T)^3). During the ramp every layer's mask is chosen anew from the current
weights, removed weights have the gradient of the masked ones (straight-through estimator), and
decay towards zero as in SR-STE (Zhou et al. 2021, arXiv 2102.04010): their gradient gets
decay * w. Adaptive Sparse Trainer (Huang et al. 2024, arXiv 2407.20584) builds on both. After the
ramp the mask is fixed, and the kept weights are trained to the end.

Axes: S sequences, B sequences of a micro-batch, T tokens, O outputs, I inputs, R rows of a process.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from leap.model.loss import lm_loss_of
from leap.settings import refuse_unusable, step_checks
from leap.training.weights import CURVES, How, SparseWeights, Weights, train_weights

_CRITERIA = ("magnitude", "moment")


@dataclass(frozen=True)
class Settings:
    """Training settings.

    sparsity: fraction of each layer's weights to remove.
    steps, batch: optimiser steps, and sequences a step over all processes.
    learning_rate, warmup_steps, weight_decay, max_grad_norm: as `leap.settings.Settings` has them.
    ramp: share of the steps after which the sparsity is reached and masks are fixed.
    interval: steps from one choice of the masks to the next.
    criterion: what is kept: the largest weights (`magnitude`), or the largest w^2 * v, with v
        Adam's second moment (`moment`).
    decay: strength of the removed weights' decay, beside the clipped gradient.
    seed: of the order of the data.
    """

    sparsity: float
    steps: int = 400
    batch: int = 16
    learning_rate: float = 1e-2
    warmup_steps: int = 5
    weight_decay: float = 0.0
    max_grad_norm: float = 1.0
    ramp: float = 0.5
    interval: int = 10
    criterion: str = "magnitude"
    decay: float = 2e-4
    seed: int = 0

    def __post_init__(self) -> None:
        refuse_unusable(
            self,
            {
                **step_checks(self),
                "batch": (self.batch >= 1, "at least 1"),
                "ramp": (0 <= self.ramp <= 1, "from 0 to 1"),
                "interval": (self.interval >= 1, "at least 1"),
                "criterion": (self.criterion in _CRITERIA, f"one of {', '.join(_CRITERIA)}"),
                "decay": (self.decay >= 0, "at least 0"),
            },
        )

    @property
    def ramp_steps(self) -> int:
        """Number of steps with changing masks."""
        return round(self.ramp * self.steps)

    def sparsity_at(self, step: int) -> float:
        """Sparsity of the masks before a step."""
        if step >= self.ramp_steps:
            return self.sparsity
        return float(self.sparsity * (1 - (1 - step / self.ramp_steps) ** 3))


def learn_weights(
    model: nn.Module, blocks_ST: Tensor, settings: Settings, **how: Any
) -> SparseWeights:
    """Train a causal LM's prunable weights while they are pruned to exact sparsity.

    `how` are fields of `leap.training.weights.How`; errors are those of `train_weights`.
    """
    loss = lm_loss_of(model)
    return train_weights(
        model, blocks_ST, settings, lambda weights: _Gradual(weights, settings, loss), "gmp",
        How(**how),
    )  # fmt: skip


class _Gradual:
    """Weights under masks of rising sparsity (a `leap.training.weights.WeightLearner`)."""

    noun = "weight"
    clips = "loss"
    remedy = "lower learning_rate"

    def __init__(
        self, weights: Weights, settings: Settings, lm_loss: Callable[[Tensor], Tensor]
    ) -> None:
        self.weights = weights
        self.settings = settings
        self.lm_loss = lm_loss
        self.learned = weights.prunable
        self.splits = dict(weights.splits)
        self.masks = {n: torch.ones_like(w, dtype=torch.bool) for n, w in self.learned.items()}
        self.buffers = {"mask": self.masks}
        self.terms = ["lm_loss"]
        self.columns = ["lm_loss", "density", *CURVES]
        for name, layer in weights.layers.items():
            layer.mask_RI = self.masks[name]
        if settings.ramp_steps == 0:
            self._choose(settings.sparsity, None)

    def loss(self, ids_BT: Tensor, step: int, first: int) -> tuple[Tensor, Tensor]:
        """LM loss under the current masks."""
        loss = self.lm_loss(ids_BT)
        return loss, loss.detach().double()[None]

    @torch.no_grad()
    def before_update(self, step: int) -> dict[str, float]:
        """Let removed weights decay during the ramp; return the density."""
        if step < self.settings.ramp_steps:
            for name, weight_RI in self.learned.items():
                assert weight_RI.grad is not None
                weight_RI.grad.add_(weight_RI * ~self.masks[name], alpha=self.settings.decay)
        return {"density": 1 - self._sparsity(step)}

    @torch.no_grad()
    def after_update(self, step: int, optimiser: torch.optim.Optimizer) -> None:
        """Choose the masks of the next step, if it begins an interval or ends the ramp."""
        following, last = step + 1, self.settings.ramp_steps
        if following == last or (following < last and following % self.settings.interval == 0):
            self._choose(self.settings.sparsity_at(following), optimiser)

    def final_mask(self, name: str, optimiser: torch.optim.Optimizer) -> Tensor:
        """The fixed mask [R, I]."""
        return self.masks[name]

    def _sparsity(self, step: int) -> float:
        """Sparsity of the masks in use at a step."""
        last, interval = self.settings.ramp_steps, self.settings.interval
        return self.settings.sparsity_at(step if step >= last else step - step % interval)

    @torch.no_grad()
    def _choose(self, sparsity: float, optimiser: torch.optim.Optimizer | None) -> None:
        keep = self.weights.budget(sparsity)
        for name, weight_RI in self.learned.items():
            score_RI = weight_RI.abs()
            if optimiser is not None and self.settings.criterion == "moment":
                score_RI *= optimiser.state[weight_RI]["exp_avg_sq"].sqrt()
            self.masks[name].copy_(self.weights.largest(score_RI, keep[name]))
