"""Refusals of unusable training data, masks and diverged values. Axes: S sequences, T tokens."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from leap.budget import survivors
from leap.model.layers import prunable_linears


def check_training(
    model: nn.Module,
    blocks_ST: Tensor,
    masks: Mapping[str, Mapping[str, Tensor] | None],
) -> None:
    """Reject training tokens or masks (by kind) that do not fit the model."""
    if blocks_ST.ndim != 2 or len(blocks_ST) == 0 or blocks_ST.shape[1] < 2:
        raise ValueError(
            "training tokens must be [sequences, tokens], at least one sequence of two tokens, "
            f"not {tuple(blocks_ST.shape)}"
        )
    context = getattr(model.config, "max_position_embeddings", blocks_ST.shape[1])
    if blocks_ST.shape[1] > context:
        raise ValueError(
            f"training sequences have {blocks_ST.shape[1]} tokens, but the model's context is "
            f"{context}: make them shorter"
        )
    names = list(prunable_linears(model))
    for kind, given in masks.items():
        if given is not None and list(given) != names:
            raise ValueError(f"the {kind} masks are not those of this model's prunable layers")


def check_masks(masks: Mapping[str, Tensor], sizes: Mapping[str, int], sparsity: float) -> None:
    """Reject masks taken from another method: of another model or number of survivors.

    `sizes` is the number of weights by layer.
    """
    counts = {name: (mask_OI.numel(), int(mask_OI.sum())) for name, mask_OI in masks.items()}
    if {name: size for name, (size, _) in counts.items()} != sizes:
        raise ValueError("the masks taken from another method belong to another model")
    kept = sum(kept for _, kept in counts.values())
    wanted = survivors(sum(sizes.values()), sparsity)
    if kept != wanted:
        raise ValueError(
            f"the masks taken from another method keep {kept} weights, not {wanted}: "
            "set its selection to exact"
        )


def refuse_nan(logits: Tensor) -> Tensor:
    """Return the logits; raise ValueError if one is NaN."""
    if torch.isnan(logits).any():
        raise ValueError("a logit is NaN: the training diverged; lower its learning rate")
    return logits


def refuse_non_finite(layer: str, learned: Tensor, noun: str = "logit") -> None:
    """Reject non-finite parameters, naming the layer."""
    if not torch.isfinite(learned).all():
        raise ValueError(f"a {noun} of {layer} is not finite: lower learning_rate")
