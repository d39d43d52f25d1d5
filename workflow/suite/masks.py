"""Masks as files: one bit a weight, eight weights a byte, row by row (1 = the weight survives)."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from baselines.pattern import group_of
from suite.tensors import load_arrays, save_arrays

if TYPE_CHECKING:
    from torch import Tensor


def save_masks(masks: Mapping[str, "Tensor"], path: str | Path) -> None:
    """Write bool masks by layer name; shapes go into the file's metadata."""
    packed = {name: np.packbits(mask.numpy()) for name, mask in masks.items()}
    shapes = {name: list(mask.shape) for name, mask in masks.items()}
    save_arrays(packed, path, {"shapes": json.dumps(shapes)})


def load_masks(path: str | Path) -> dict[str, "Tensor"]:
    """Read what `save_masks` wrote, in the same order. Raises ValueError for a damaged file."""
    import torch

    packed, metadata = load_arrays(path)
    return {
        name: torch.from_numpy(
            np.unpackbits(packed[name], count=int(np.prod(shape))).astype(bool).reshape(shape)
        )
        for name, shape in json.loads(metadata["shapes"]).items()
    }


def mask_hash(masks: Mapping[str, "Tensor"]) -> str:
    """SHA-256 over names, shapes and packed bits in layer order: equal masks, equal hash."""
    digest = hashlib.sha256()
    for name, mask in masks.items():
        digest.update(f"{name}{tuple(mask.shape)}".encode())
        digest.update(np.packbits(mask.numpy()).tobytes())
    return digest.hexdigest()


def check_groups(masks: Mapping[str, "Tensor"], pattern: str, tiles: Mapping[str, Any]) -> None:
    """Raise ValueError where a group of a mask does not keep the N of M weights of `pattern`.

    Groups in the dense tiles of PATCH's map `tiles` (see `suite.binarising`; empty for all other
    methods) must keep all. A pattern that is not N:M has nothing to check.
    """
    group = group_of(pattern)
    if not group:
        return
    for name, mask_OI in masks.items():
        kept_OG = mask_OI.view(mask_OI.shape[0], -1, group[1]).sum(dim=2)
        wanted_OG = _wanted(name, tuple(kept_OG.shape), group, tiles)
        wrong = int((kept_OG != wanted_OG).sum())
        if wrong:
            raise ValueError(
                f"{name}: {wrong} of {kept_OG.numel()} groups do not keep {pattern}"
                f"{' or a dense tile' if tiles else ''}: the pruning method's pattern is wrong"
            )


def _wanted(
    name: str, shape: tuple[int, ...], group: tuple[int, int], tiles: Mapping[str, Any]
) -> "Tensor":
    """How many weights of every group [O, G] have to survive."""
    import torch

    if not tiles:
        return torch.full(shape, group[0])
    dense_UV = torch.tensor([[sign == "1" for sign in row] for row in tiles["dense"][name]])
    wide_OG = dense_UV.repeat_interleave(tiles["size"], 0)
    wide_OG = wide_OG.repeat_interleave(tiles["size"] // group[1], 1)[: shape[0], : shape[1]]
    return torch.where(wide_OG, group[1], group[0])


def jaccard(first: Path, second: Path) -> float:
    """Weights that both masks keep over weights that either keeps, of two mask files.

    Raises ValueError where they belong to different layers.
    """
    one, other = load_masks(first), load_masks(second)
    if {n: m.shape for n, m in one.items()} != {n: m.shape for n, m in other.items()}:
        raise ValueError(f"{first} and {second} are masks of different models")
    both = sum(int((mask & other[name]).sum()) for name, mask in one.items())
    either = sum(int((mask | other[name]).sum()) for name, mask in one.items())
    return both / either if either else 1.0
