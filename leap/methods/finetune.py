"""Fine-tuning of kept weights: the mask of another method is fixed, the weights are trained.

After any pruning method, the weights that its mask keeps are trained on the language-modelling loss
(Han et al. 2015, arXiv 1506.02626, retrain so), or on a share of it and the KL divergence to the
dense model (cross-entropy and distillation as in Adaptive Sparse Trainer, Huang et al. 2024, arXiv
2407.20584).

Axes: S sequences, B sequences of a micro-batch, T tokens, O outputs, I inputs, R rows of a process.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from leap.checks import check_masks
from leap.model.layers import prunable_linears
from leap.model.loss import distillation_loss_of, lm_loss_of
from leap.model.trained import TrainedLinear, dense_weights
from leap.settings import mask_steps, refuse_unusable, step_checks
from leap.training.weights import CURVES, How, SparseWeights, Weights, train_weights


@dataclass(frozen=True)
class Settings:
    """Training settings.

    sparsity: fraction of the prunable weights that the mask removes.
    steps, batch: optimiser steps of the whole budget, and sequences a step over all processes.
    learning_rate, warmup_steps, weight_decay, max_grad_norm: as `leap.settings.Settings` has them.
    distil: share of the loss that is the KL divergence to the dense model; the rest is the
        language-modelling loss. Where it is not 0, memory holds the dense prunable weights as well,
        in the model's dtype.
    mask_share: share of `steps` that the training of the mask itself has used; the weights are
        trained for the rest, on the text after it.
    seed: of the order of the data.
    """

    sparsity: float
    steps: int = 400
    batch: int = 16
    learning_rate: float = 1e-2
    warmup_steps: int = 5
    weight_decay: float = 0.0
    max_grad_norm: float = 1.0
    distil: float = 0.0
    mask_share: float = 0.0
    seed: int = 0

    def __post_init__(self) -> None:
        refuse_unusable(
            self,
            {
                **step_checks(self),
                "batch": (self.batch >= 1, "at least 1"),
                "distil": (0 <= self.distil <= 1, "from 0 to 1"),
                "mask_share": (
                    0 <= self.mask_share < 1
                    and mask_steps(self.steps, self.mask_share) < self.steps,
                    "at least 0, and leave a step to the weights",
                ),
            },
        )


def learn_weights(
    model: nn.Module,
    blocks_ST: Tensor,
    settings: Settings,
    *,
    masks: Mapping[str, Tensor],
    start: Mapping[str, Tensor] | None = None,
    **how: Any,
) -> SparseWeights:
    """Train the weights of a causal LM that `masks` [O, I] keep.

    They start from the weights `start` [O, I] of the method that chose the masks, by layer, and
    from the dense ones where it has none. `how` are fields of `leap.training.weights.How`. Raises
    ValueError as `train_weights` does, for masks of another model or sparsity, and with `distil`
    for a model that makes its logits in a way of its own.
    """
    linears, start = prunable_linears(model), start or {}
    first = mask_steps(settings.steps, settings.mask_share)
    sizes = {name: linear.weight.numel() for name, linear in linears.items()}
    check_masks(masks, sizes, settings.sparsity)
    layers: dict[str, TrainedLinear] = {}
    loss = _loss(model, settings.distil, layers)

    def learner(weights: Weights) -> _Kept:
        layers.update(weights.layers)
        return _Kept(weights, masks, start, settings.distil, loss)

    remaining = replace(settings, steps=settings.steps - first, mask_share=0.0)
    place = How(**how, skipped=first)
    given, identity = {"mask": masks, "start": start}, f"finetune after {first} steps"
    return train_weights(model, blocks_ST, remaining, learner, identity, place, given=given)


def _loss(
    model: nn.Module, distil: float, layers: Mapping[str, TrainedLinear]
) -> Callable[[Tensor], Tensor]:
    """Loss function of token ids, and with `distil` its two terms."""
    if distil:
        return distillation_loss_of(model, distil, lambda: dense_weights(layers))
    return lm_loss_of(model)


class _Kept:
    """Weights under fixed masks (a `leap.training.weights.WeightLearner`)."""

    noun = "weight"
    clips = "sum"
    remedy = "lower learning_rate"

    def __init__(
        self,
        weights: Weights,
        masks: Mapping[str, Tensor],
        start: Mapping[str, Tensor],
        distil: float,
        loss: Callable[[Tensor], Tensor],
    ) -> None:
        self.distils = bool(distil)
        self.loss_of = loss
        self.learned = weights.prunable
        self.splits = dict(weights.splits)
        self.buffers: dict[str, dict[str, Tensor]] = {}
        self.terms = ["loss", "lm_loss", "divergence"] if distil else ["lm_loss"]
        self.columns = [*self.terms, *CURVES]
        self.masks = {name: layer.own(masks[name]) for name, layer in weights.layers.items()}
        for name, layer in weights.layers.items():
            if distil:
                layer.dense_RI = layer.weight.detach().to(layer.dtype, copy=True)
            with torch.no_grad():
                if name in start:
                    layer.weight.copy_(layer.own(start[name]))
                layer.weight.masked_fill_(~self.masks[name], 0)

    def loss(self, ids_BT: Tensor, step: int, first: int) -> tuple[Tensor, Tensor]:
        """Loss and its terms."""
        found = self.loss_of(ids_BT)
        if self.distils:
            return found[0], found.detach().double()
        return found, found.detach().double()[None]

    @torch.no_grad()
    def before_update(self, step: int) -> dict[str, float]:
        """Clear the gradients of removed weights, so that they stay zero."""
        for name, weight_RI in self.learned.items():
            assert weight_RI.grad is not None
            weight_RI.grad.masked_fill_(~self.masks[name], 0)
        return {}

    def after_update(self, step: int, optimiser: torch.optim.Optimizer) -> None:
        """Do nothing: the masks are fixed."""

    def final_mask(self, name: str, optimiser: torch.optim.Optimizer) -> Tensor:
        """The given mask [R, I]."""
        return self.masks[name]
