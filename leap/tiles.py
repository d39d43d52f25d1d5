"""Where the tiles of a matrix lie; those at its right and lower edges may be smaller.

Axes: O outputs, I inputs, U by V tiles.
"""

import torch
from torch import Tensor


def tile_weights(shape: tuple[int, int], size: int) -> Tensor:
    """How many weights each tile has, int64 [U, V]; only those at the edges may have fewer."""
    heights_U, widths_V = (
        torch.tensor([min(size, length - start) for start in range(0, length, size)])
        for length in shape
    )
    return heights_U[:, None] * widths_V


def spread(tiles_UV: Tensor, size: int, shape: tuple[int, int]) -> Tensor:
    """Each tile's value at all of its weights [O, I]."""
    wide = tiles_UV.repeat_interleave(size, 0).repeat_interleave(size, 1)
    return wide[: shape[0], : shape[1]]


def tile_sums(values_OI: Tensor, size: int) -> Tensor:
    """Sums over tiles [U, V]."""
    parts = [band.sum(dim=0) for band in values_OI.split(size, dim=0)]
    return torch.stack([torch.stack([part.sum() for part in row_I.split(size)]) for row_I in parts])
