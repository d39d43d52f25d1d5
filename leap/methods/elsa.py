"""ELSA: weights trained end to end, pulled towards a sparse copy by ADMM.

After "The Unseen Frontier: Pushing the Limits of LLM Sparsity with Surrogate-Free ADMM" (Lee et al.
2025, arXiv 2510.01650): ADMM on the language-modelling loss, without a layer-wise surrogate. Every
prunable weight w has a sparse copy z and a scaled dual u:

    start:             z = project(w), u = 0
    every step:        Adam on w, with the gradient of the loss plus penalty * (w - z + u)
    every `interval`:  z = project(w + u), u = u + (w - z)
    end:               w = project(w)

The projection keeps the largest weights of each layer, exactly as many as `leap.budget` says; the
authors' removes ties too. What their public code does is known from descriptions, and none of it is
used here. It is the preset `public-code` (`leap.settings`):

- the gradient of the loss is clipped to norm 1, then the penalty's is added, unclipped;
- the learning rate falls linearly to zero, without a warm-up;
- copies and duals are updated after the first step of every interval, the very first included;
- all parameters are trained; prunable are all linear layers but the head.

The defaults of `clipping`, `decay`, `update_at` and `trained` are this suite's earlier ones: the
penalty is clipped too, cosine decay, updates after an interval's last step, and only prunable
weights are trained. The score of the projection `moment` is ours, see `_score`.

Axes: S sequences, B sequences of a micro-batch, T tokens, O outputs, I inputs, R rows of a process.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from leap.distributed import parallel
from leap.model.loss import lm_loss_of
from leap.settings import refuse_unusable, step_checks
from leap.training.weights import CURVES, How, SparseWeights, Weights, train_weights

_CHOICES = {
    "projection": ("magnitude", "moment"),
    "clipping": ("loss", "sum"),
    "decay": ("cosine", "linear"),
    "update_at": ("start", "end"),
    "trained": ("prunable", "all"),
}


@dataclass(frozen=True)
class Settings:
    """Training settings.

    sparsity: fraction of each layer's weights to remove.
    steps, batch: optimiser steps, and sequences a step over all processes.
    learning_rate, warmup_steps, weight_decay, max_grad_norm: as `leap.settings.Settings` has them.
    penalty: lambda, which draws the weights to their sparse copy.
    interval: steps from one projection to the next.
    projection: what is kept: the largest weights (`magnitude`), or those whose loss costs most by
        Adam's second moment (`moment`).
    clipping: what `max_grad_norm` applies to: the gradient of the `loss`, or its `sum` with the
        penalty's.
    decay: of the learning rate, `cosine` or `linear`.
    update_at: the first (`start`) or the last (`end`) step of every interval.
    trained: the `prunable` weights, or `all` parameters.
    seed: of the order of the data.
    """

    sparsity: float
    steps: int = 4096
    batch: int = 8
    learning_rate: float = 2e-4
    warmup_steps: int = 5
    weight_decay: float = 0.0
    max_grad_norm: float = 0.0
    penalty: float = 0.01
    interval: int = 32
    projection: str = "magnitude"
    clipping: str = "sum"
    decay: str = "cosine"
    update_at: str = "end"
    trained: str = "prunable"
    seed: int = 0

    def __post_init__(self) -> None:
        choices = {
            name: (getattr(self, name) in known, f"one of {', '.join(known)}")
            for name, known in _CHOICES.items()
        }
        refuse_unusable(
            self,
            {
                **step_checks(self),
                "batch": (self.batch >= 1, "at least 1"),
                "penalty": (self.penalty >= 0, "at least 0"),
                "interval": (self.interval >= 1, "at least 1"),
                **choices,
            },
        )


def learn_weights(
    model: nn.Module, blocks_ST: Tensor, settings: Settings, **how: Any
) -> SparseWeights:
    """Train a causal LM's weights to exact sparsity.

    `how` are fields of `leap.training.weights.How`; errors are those of `train_weights`.
    """
    loss, place = lm_loss_of(model), How(**how, decay=settings.decay)
    return train_weights(
        model, blocks_ST, settings, lambda weights: _Elsa(weights, settings, loss), "elsa", place,
        everything=settings.trained == "all",
    )  # fmt: skip


class _Elsa:
    """Weights with sparse copies and duals (a `leap.training.weights.WeightLearner`)."""

    noun = "weight"
    remedy = "lower learning_rate or penalty"

    def __init__(
        self, weights: Weights, settings: Settings, lm_loss: Callable[[Tensor], Tensor]
    ) -> None:
        self.weights = weights
        self.settings = settings
        self.lm_loss = lm_loss
        self.clips = settings.clipping
        self.keep = weights.budget(settings.sparsity)
        self.prunable = weights.prunable
        self.learned = {**self.prunable, **weights.others}
        self.splits = dict(weights.splits)
        self.z = {name: weight.detach().clone() for name, weight in self.prunable.items()}
        self.u = {name: torch.zeros_like(z_RI) for name, z_RI in self.z.items()}
        self.buffers = {"z": self.z, "u": self.u}
        self.terms = ["lm_loss"]
        self.columns = ["lm_loss", "penalty_term", "primal_residual", *CURVES]
        for name, z_RI in self.z.items():  # by magnitude: there is no second moment yet
            z_RI.masked_fill_(~weights.largest(z_RI.abs(), self.keep[name]), 0)

    def loss(self, ids_BT: Tensor, step: int, first: int) -> tuple[Tensor, Tensor]:
        """LM loss; the penalty's gradient is added once per step."""
        loss = self.lm_loss(ids_BT)
        return loss, loss.detach().double()[None]

    @torch.no_grad()
    def before_update(self, step: int) -> dict[str, float]:
        """Add the gradient of penalty / 2 * ||w - z + u||^2; return penalty and primal residual.

        The primal residual is ||w - z|| / ||w||, taken over all layers.
        """
        penalty = self.settings.penalty
        sums = torch.zeros(3, dtype=torch.float64, device=next(iter(self.z.values())).device)
        for name, weight_RI in self.prunable.items():
            distance_RI = weight_RI - self.z[name]
            squares = [_square(distance_RI), _square(weight_RI)]
            distance_RI += self.u[name]
            assert weight_RI.grad is not None
            weight_RI.grad.add_(distance_RI, alpha=penalty)
            sums += torch.stack([*squares, _square(distance_RI)])
        if self.weights.sharded:
            sums = parallel.all_reduce(sums)
        residual, size, distance = sums.tolist()
        return {
            "penalty_term": penalty / 2 * distance,
            "primal_residual": (residual / size) ** 0.5,
        }

    @torch.no_grad()
    def after_update(self, step: int, optimiser: torch.optim.Optimizer) -> None:
        """Once in every interval: z = project(w + u), u = u + (w - z)."""
        if (step + (self.settings.update_at == "end")) % self.settings.interval:
            return
        for name, weight_RI in self.prunable.items():
            z_RI, u_RI = self.z[name], self.u[name]
            u_RI += weight_RI  # from here on w + u, which z gets one part of, and u the other
            mask_RI = self._mask(name, u_RI, optimiser)
            z_RI.copy_(u_RI).masked_fill_(~mask_RI, 0)
            u_RI.masked_fill_(mask_RI, 0)

    def final_mask(self, name: str, optimiser: torch.optim.Optimizer) -> Tensor:
        """Mask [R, I] of project(w)."""
        return self._mask(name, self.prunable[name], optimiser)

    def _mask(self, name: str, value_RI: Tensor, optimiser: torch.optim.Optimizer) -> Tensor:
        moment_RI = None
        if self.settings.projection == "moment":
            moment_RI = optimiser.state[self.prunable[name]]["exp_avg_sq"]
        return self.weights.largest(_score(value_RI, moment_RI), self.keep[name])


def _score(value_RI: Tensor, moment_RI: Tensor | None) -> Tensor:
    """Score of each value by the increase of the loss without it, up to monotone maps.

    By magnitude |x|. With Adam's second moment v it is sqrt(v) * |x|, in the order of v * x^2: to
    second order the loss rises by h * x^2 / 2 when x is set to zero, and v, a running mean of
    squared gradients, stands for the diagonal h of the Hessian, as the diagonal Fisher information
    does. That the projection takes Adam's second moment to know the objective is the paper's; how
    is worked out here. Adam's correction of v for its start is one factor for all and left out; v
    is that of all that Adam sees, the penalty's part included.
    """
    score_RI = value_RI.abs()
    return score_RI if moment_RI is None else score_RI.mul_(moment_RI.sqrt())


def _square(tensor: Tensor) -> Tensor:
    return torch.linalg.vector_norm(tensor).double().square()
