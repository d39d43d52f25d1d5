"""The two terms that LEAP adds to the language-modelling loss. Axes: L prunable layers.

Sums and norms come from `leap.gates.gate`, all terms are scalars.
"""

from collections.abc import Sequence

import torch
from torch import Tensor


def density_term(
    kept_L: Tensor, sizes_L: Tensor, block_L: Sequence[int], density: float, scope: str
) -> Tensor:
    """|mean M - density|: over the whole model (`global`), or averaged over the decoder blocks.

    `kept_L` is the sum of each layer's mask, `sizes_L` its number of weights, `block_L` the index
    of its decoder block. With the global term layers are free to find their own density.
    """
    if scope == "global":
        return (kept_L.sum() / sizes_L.sum() - density).abs()
    index_L = torch.as_tensor(block_L, device=kept_L.device)
    zeros_K = torch.zeros(int(index_L.max()) + 1, dtype=kept_L.dtype, device=kept_L.device)
    kept_K = zeros_K.index_add(0, index_L, kept_L)
    sizes_K = zeros_K.index_add(0, index_L, sizes_L.to(kept_L.dtype))
    return (kept_K / sizes_K - density).abs().mean()


def magnitude_term(
    kind: str, masked_norm_L: Tensor, weight_norm_L: Tensor, progress: float
) -> Tensor:
    """The share of magnitude that the masks keep, negative, so that keeping more is better.

    `norm_ratio` (official code): -(1 - progress) * sum of ||M * W||_F / sum of ||W||_F.
    `l1` (paper): -sum of ||M * W||_1 / sum of ||W||_1. The paper's formula has no denominator; its
    lambda_2 is this term's strength divided by the model's sum of ||W||_1.
    """
    share = masked_norm_L.sum() / weight_norm_L.sum()
    return -share * (1 - progress) if kind == "norm_ratio" else -share
