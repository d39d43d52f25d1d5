"""Non-uniform layer densities of layer-wise methods: by outliers (OWL), or those of other masks.

The whole model still has exactly round((1 - sparsity) * weights) survivors. Axes: O outputs, I
inputs.
"""

from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import cast

import torch
from torch import Tensor, nn

from baselines.sequential import Progress, no_progress, walk
from baselines.statistics import FeatureNorm
from leap.budget import survivors
from leap.checks import check_masks
from leap.model.layers import block_index, decoder_blocks, prunable_linears

# of OWL: outlier threshold in mean scores, and the largest distance of a density from the mean
_OUTLIER, _SPREAD = 5.0, 0.08


def of_masks(model: nn.Module, masks: Mapping[str, Tensor], sparsity: float) -> dict[str, int]:
    """Survivors of each layer in the masks [O, I] of another method.

    Raises ValueError for masks of another model or another number of survivors.
    """
    check_masks(masks, _sizes(model), sparsity)
    return {name: int(mask_OI.sum()) for name, mask_OI in masks.items()}


@torch.no_grad()
def owl(
    model: nn.Module,
    sparsity: float,
    batches: Sequence[Tensor],
    progress: Progress = no_progress,
) -> dict[str, int]:
    """Survivors of each layer by OWL: blocks with more outliers keep more.

    Yin et al. 2024, "Outlier Weighed Layerwise Sparsity (OWL)", arXiv 2310.05175. The outlier share
    D of a block is the share of its weights whose Wanda score |W| * ||x|| exceeds 5 times the
    block's mean, on the dense model's activations. Densities are linear in D over a range of
    2 * 0.08, with the target as their mean. `batches` are calibration ids [B, T].
    """
    linears = prunable_linears(model)
    prefix, _ = decoder_blocks(model)
    shares: dict[str, float] = {}
    groups = walk(model, linears, FeatureNorm, batches, progress)
    for _, of_block in groupby(groups, lambda group: block_index(group.names[0], prefix)):
        scores = {
            name: linears[name].weight.float().abs() * cast(FeatureNorm, group.statistic).norm_I
            for group in of_block
            for name in group.names
        }
        score_N = torch.cat([score_OI.flatten() for score_OI in scores.values()])
        share = float((score_N > _OUTLIER * score_N.mean()).double().mean())
        shares |= dict.fromkeys(scores, share)
    return _spread(_sizes(model), shares, sparsity)


def _spread(
    sizes: Mapping[str, int], shares: Mapping[str, float], sparsity: float
) -> dict[str, int]:
    """Survivors of each layer, with densities linear in the shares of outliers."""
    total, target = sum(sizes.values()), 1 - sparsity
    lowest, highest = min(shares.values()), max(shares.values())
    width = 2 * _SPREAD / (highest - lowest) if highest > lowest else 0.0
    moved = {name: width * (shares[name] - lowest) for name in sizes}
    mean = sum(moved[name] * size for name, size in sizes.items()) / total
    densities = {name: target + moved[name] - mean for name in sizes}
    if not all(0 < density < 1 for density in densities.values()):
        raise ValueError(
            f"allocation owl moves densities by up to {2 * _SPREAD}, which sparsity {sparsity} has "
            "no room for: set allocation: uniform"
        )
    counts, reached, before = {}, 0.0, 0
    for name, size in sizes.items():
        reached += densities[name] * size
        counts[name] = round(reached) - before
        before += counts[name]
    # the rounding error of the sums goes to the last layer
    counts[name] += survivors(total, sparsity) - before
    return counts


def _sizes(model: nn.Module) -> dict[str, int]:
    return {name: linear.weight.numel() for name, linear in prunable_linears(model).items()}
