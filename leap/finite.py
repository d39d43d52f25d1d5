"""What is learned and is no number is refused by name, before anything is made of it."""

import torch
from torch import Tensor


def refuse_nan(logits: Tensor) -> Tensor:
    """The logits themselves. Raises ValueError where one of them is NaN."""
    if torch.isnan(logits).any():
        raise ValueError("a logit is NaN: the training diverged; lower its learning rate")
    return logits


def refuse_non_finite(layer: str, learned: Tensor, noun: str = "logit") -> None:
    """Raise ValueError where something learned of this layer is NaN or infinite."""
    if not torch.isfinite(learned).all():
        raise ValueError(f"a {noun} of {layer} is not finite: lower learning_rate")
