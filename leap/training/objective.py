"""LEAP's objective: language modelling, density and magnitude. Axes: L prunable layers.

Sums and norms come from the layers' gates, all terms are scalars.
"""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from leap.settings import Settings

# the norm of the masked weights that each form of the magnitude term is made of
NORMS = {"norm_ratio": "l2", "norm_sum": "l2", "l1": "l1", "none": "none"}

_TERMS = ("loss", "lm_loss", "density_term", "magnitude_term", "density")


class Objective:
    """Loss of a micro-batch, and its terms as numbers.

    `weights` are the frozen weights by layer, whole, of which sizes and norms are taken; `block_L`
    is the index of each layer's decoder block.
    """

    def __init__(
        self, settings: Settings, weights: Mapping[str, Tensor], block_L: Sequence[int]
    ) -> None:
        self.settings = settings
        self.block_L = torch.tensor(block_L)
        self.blocks = max(block_L) + 1
        order = 1 if NORMS[settings.magnitude] == "l1" else 2
        norms = [
            float(torch.linalg.vector_norm(weight_OI.detach().float(), ord=order))
            for weight_OI in weights.values()
        ]
        sizes = [weight_OI.numel() for weight_OI in weights.values()]
        self.size_L = torch.tensor(sizes, dtype=torch.float64)
        self.weight_norm_L = torch.tensor(norms, dtype=torch.float64)
        self.names = [*_TERMS, *(f"density/{name}" for name in weights)]

    def to(self, device: torch.device) -> None:
        """Move to a device."""
        self.block_L = self.block_L.to(device)
        self.size_L = self.size_L.to(device)
        self.weight_norm_L = self.weight_norm_L.to(device)

    def __call__(
        self, lm_loss: Tensor, kept_L: Tensor, norm_L: Tensor, progress: float
    ) -> tuple[Tensor, Tensor]:
        """Loss, and the values of `names`, float64, detached.

        `kept_L` are the sums of the masks, `norm_L` the norms of the masked weights.
        """
        settings = self.settings
        density = settings.density_strength * density_term(
            kept_L, self.size_L, self.block_L, self.blocks, 1 - settings.sparsity,
            settings.density_scope,
        )  # fmt: skip
        loss = lm_loss + density
        magnitude = torch.zeros_like(density)
        if settings.magnitude != "none":
            magnitude = settings.magnitude_strength * magnitude_term(
                settings.magnitude, norm_L, self.weight_norm_L, progress
            )
            loss = loss + magnitude
        share_L = kept_L.detach() / self.size_L
        whole = kept_L.detach().sum() / self.size_L.sum()
        terms = [part.detach().double() for part in (loss, lm_loss, density, magnitude)]
        return loss, torch.cat([torch.stack([*terms, whole]), share_L])


def density_term(
    kept_L: Tensor, sizes_L: Tensor, block_L: Tensor, blocks: int, density: float, scope: str
) -> Tensor:
    """Density penalty |mean M - density|, over the whole model (`global`) or per decoder block.

    Of blocks it is the average (`per_block`, the paper's ablation) or the sum (`per_block_sum`, as
    the official code has it). `kept_L` is the sum of each layer's mask, `sizes_L` its number of
    weights, `block_L` the index of its decoder block, of which there are `blocks`. With the global
    term layers are free to find their own density.
    """
    if scope == "global":
        return (kept_L.sum() / sizes_L.sum() - density).abs()
    zeros_K = kept_L.new_zeros(blocks)
    kept_K = zeros_K.index_add(0, block_L, kept_L)
    sizes_K = zeros_K.index_add(0, block_L, sizes_L.to(kept_L.dtype))
    distance_K = (kept_K / sizes_K - density).abs()
    return distance_K.sum() if scope == "per_block_sum" else distance_K.mean()


def magnitude_term(
    kind: str, masked_norm_L: Tensor, weight_norm_L: Tensor, progress: float
) -> Tensor:
    """Magnitude reward: minus the fraction of the weights' norm that the masks keep.

    `norm_ratio` (official code): -(1 - progress) * sum of ||M * W||_F / sum of ||W||_F.
    `norm_sum` (the same code for MaskLLM): that without the denominator.
    `l1` (paper): -sum of ||M * W||_1 / sum of ||W||_1. The paper's formula has no denominator; its
    lambda_2 is this term's strength divided by the model's sum of ||W||_1.
    """
    if kind == "norm_sum":
        return -masked_norm_L.sum() * (1 - progress)
    share = masked_norm_L.sum() / weight_norm_L.sum()
    return -share * (1 - progress) if kind == "norm_ratio" else -share
