"""Exact survivor counts of the whole model and of each layer.

Weights are numbered through the whole model, layer after layer. Of the first n weights
round((1 - sparsity) * n) survive, for every layer boundary n, so that the layers' counts always
add up to the exact count of the whole model.
"""

from collections.abc import Mapping
from fractions import Fraction


def survivors(weights: int, sparsity: float) -> int:
    """round((1 - sparsity) * weights), halves up, free of floating-point error."""
    density = 1 - Fraction(str(sparsity))
    return (2 * density * weights + 1).__floor__() // 2


def layer_survivors(sizes: Mapping[str, int], sparsity: float) -> dict[str, int]:
    """Survivors of each layer at uniform sparsity.

    `sizes` is the number of weights by layer, in model order. Each count is within one of
    (1 - sparsity) * size, and their sum is exactly `survivors(sum of sizes, sparsity)`.
    """
    counts = {}
    start = 0
    for name, size in sizes.items():
        counts[name] = survivors(start + size, sparsity) - survivors(start, sparsity)
        start += size
    return counts
