"""Tiling of a matrix; tiles at the right and lower edges may be smaller.

Axes: O outputs, I inputs, R rows, U by V tiles.
"""

from functools import lru_cache

import torch
from torch import Tensor


def tile_weights(shape: tuple[int, int], size: int) -> Tensor:
    """Weights per tile, int64 [U, V]."""
    heights_U, widths_V = (
        torch.tensor([min(size, length - start) for start in range(0, length, size)])
        for length in shape
    )
    return heights_U[:, None] * widths_V


@lru_cache
@torch.inference_mode(False)
def shared_tile_weights(shape: tuple[int, int], size: int, device: torch.device) -> Tensor:
    """`tile_weights` on a device, cached: read-only."""
    return tile_weights(shape, size).to(device)


def spread(tiles_UV: Tensor, size: int, shape: tuple[int, int]) -> Tensor:
    """Tile values expanded to weights [O, I]."""
    wide = tiles_UV.repeat_interleave(size, 0).repeat_interleave(size, 1)
    return wide[: shape[0], : shape[1]]


def tile_sums(values_OI: Tensor, size: int) -> Tensor:
    """Sums over each tile [U, V]."""
    sums_UI = run_sums(values_OI.T, size).T
    return run_sums(sums_UI, size)


def run_sums(values_RI: Tensor, size: int) -> Tensor:
    """Sums over runs of `size` neighbours in each row [R, V]; the last run may be shorter."""
    missing = -values_RI.shape[1] % size
    return torch.nn.functional.pad(values_RI, (0, missing)).unflatten(1, (-1, size)).sum(dim=2)
