"""Logits that are no numbers are refused by name, before anything is made of them."""

import torch
from torch import Tensor


def refuse_nan(logits: Tensor) -> Tensor:
    """The logits themselves. Raises ValueError where one of them is NaN."""
    if torch.isnan(logits).any():
        raise ValueError("a logit is NaN: the training diverged; lower its learning rate")
    return logits


def refuse_non_finite(layer: str, logits: Tensor) -> None:
    """Raise ValueError where a logit of this layer is NaN or infinite."""
    if not torch.isfinite(logits).all():
        raise ValueError(f"a logit of {layer} is not finite: lower learning_rate")
