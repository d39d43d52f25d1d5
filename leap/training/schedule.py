"""Schedules over training steps, which count from 0 to `steps` - 1."""

import math


def progress(step: int, steps: int) -> float:
    """step / steps: 0 at the first step, just below 1 at the last, as in the official code."""
    return step / steps


def linear(ends: tuple[float, float], step: int, steps: int) -> float:
    """Linear schedule of alpha and tau, from the first value towards the last."""
    first, last = ends
    return first + (last - first) * progress(step, steps)


def learning_rate(peak: float, warmup: int, step: int, steps: int, decay: str = "cosine") -> float:
    """Linear warm-up over `warmup` steps, the peak at the last of them, then decay to zero.

    The `decay` is a `cosine` or `linear`; without a warm-up the first step has the peak.
    """
    if step < warmup:
        return peak * (step + 1) / warmup
    left = max(1, steps - warmup)
    if decay == "linear":
        return peak * (1 - (step - warmup) / left)
    return peak * 0.5 * (1 + math.cos(math.pi * (step - warmup) / left))
