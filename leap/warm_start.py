"""The logits that training begins with. Axes: O outputs, I inputs."""

import torch
from torch import Tensor


def first_logits(
    shape: tuple[int, int], std: float, seed: int, prior_OI: Tensor | None, strength: float
) -> Tensor:
    """N(0, std^2), and with a prior mask `strength` standard deviations up or down, float32, CPU.

    P = N(0, std^2) + strength * std(P) * (+1 where the prior keeps the weight, else -1), the
    warm start of the official code. Every layer needs a seed of its own.
    """
    generator = torch.Generator().manual_seed(seed)
    logits_OI = torch.empty(shape, dtype=torch.float32).normal_(0, std, generator=generator)
    if prior_OI is None:
        return logits_OI
    if prior_OI.shape != logits_OI.shape:
        raise ValueError(
            f"the prior mask has shape {tuple(prior_OI.shape)}, but its layer {tuple(shape)}: "
            "it belongs to another model"
        )
    return logits_OI + strength * logits_OI.std() * (prior_OI.float() * 2 - 1)
