"""PATCH's mask selection: dense tiles, and the N:M mask in all others.

Axes: O outputs, I inputs, U by V tiles.
"""

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from leap.budget import survivors
from leap.checks import refuse_nan
from leap.methods.maskllm import pattern_masks
from leap.methods.parameterisation import Learned, key
from leap.methods.patch.tiles import spread, tile_weights


def masks(learned: Learned) -> dict[str, Tensor]:
    """Bool masks [O, I] by layer name, with dense tiles by the setting `selection`."""
    what: Any = learned.parameterisation
    dense, below = dense_tiles(learned), _sparse_masks(learned)
    return {n: tile_masks(dense[n], below[n], what.size) for n in learned.shapes}


def describe(learned: Learned) -> dict[str, Any]:
    """Map of dense `tiles`, one string of 0 and 1 per row of tiles, and the `tolerance`.

    The tolerance is half of what the largest tile can change: no choice of whole tiles need be
    nearer to the sparsity.
    """
    what: Any = learned.parameterisation
    rows = {
        name: ["".join(map(str, row_V)) for row_V in dense_UV.int().tolist()]
        for name, dense_UV in dense_tiles(learned).items()
    }
    described = {"tiles": {"size": what.size, "pattern": f"{what.n}:{what.m}", "dense": rows}}
    if learned.settings.selection == "threshold":
        return described
    return {**described, "tolerance": math.ceil(what.size**2 * (what.m - what.n) / what.m / 2)}


def dense_tiles(learned: Learned) -> dict[str, Tensor]:
    """Dense tiles, bool [U, V] by layer, by the setting `selection`."""
    what: Any = learned.parameterisation
    logits = {name: learned.logits[name] for name in learned.shapes}
    if learned.settings.selection == "threshold":
        return positive_tiles(logits)
    weights = {n: tile_weights(shape, what.size) for n, shape in learned.shapes.items()}
    return exact_tiles(logits, weights, learned.settings.sparsity, (what.n, what.m))


def tile_masks(dense_UV: Tensor, sparse_OI: Tensor, size: int) -> Tensor:
    """Bool mask [O, I]: all weights of dense tiles, the N:M mask in all others."""
    return spread(dense_UV, size, (sparse_OI.shape[0], sparse_OI.shape[1])) | sparse_OI


def positive_tiles(logits: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Dense tiles, bool [U, V] by layer: positive logits (official code)."""
    return {name: refuse_nan(logits[name]) > 0 for name in logits}


def exact_tiles(
    logits: Mapping[str, Tensor], weights: Mapping[str, Tensor], sparsity: float,
    pattern: tuple[int, int],
) -> dict[str, Tensor]:  # fmt: skip
    """Dense tiles by layer: the largest logits of the whole model.

    As many as bring the number of survivors nearest to round((1 - sparsity) * weights), fewer if
    two are equally near. Ties go to the earlier layer and tile. `weights` are the tiles' sizes.
    """
    n, m = pattern
    all_T = torch.cat([refuse_nan(logits[name]).flatten() for name in logits])
    size_T = torch.cat([weights[name].flatten() for name in logits])
    order_T = all_T.argsort(descending=True, stable=True)
    total = int(size_T.sum())
    gains = torch.cat([torch.zeros(1, dtype=torch.int64), (size_T[order_T] * (m - n)).cumsum(0)])
    wanted = survivors(total, sparsity) * m - total * n
    dense_T = torch.zeros(len(all_T), dtype=torch.bool)
    dense_T[order_T[: int((gains - wanted).abs().argmin())]] = True
    parts = dense_T.split([logits[name].numel() for name in logits])
    return {name: part.view(logits[name].shape) for name, part in zip(logits, parts, strict=True)}


def _sparse_masks(learned: Learned) -> Mapping[str, Tensor]:
    what: Any = learned.parameterisation
    if what.joint:
        return {
            name: pattern_masks(learned.logits[key(name, "patterns")], what.n, what.m)
            for name in learned.shapes
        }
    assert learned.sparse is not None  # see the parameterisation's check
    return learned.sparse
