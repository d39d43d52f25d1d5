"""Mask files: one bit per weight, row by row (1 = the weight survives). Needs no torch.

Masks are bool arrays of NumPy, or of torch on the CPU.
"""

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from baselines.pattern import group_of
from leap_suite.artifacts.arrays import load_arrays, save_arrays

Masks = Mapping[str, Any]
Value = TypeVar("Value")


class Unpacked(Mapping[str, Value]):
    """`unpack(name)` by name, computed at every access: a byte per weight, for one layer only."""

    def __init__(self, names: Iterable[str], unpack: Callable[[str], Value]) -> None:
        self.names = dict.fromkeys(names)
        self.unpack = unpack

    def __getitem__(self, name: str) -> Value:
        if name not in self.names:
            raise KeyError(name)
        return self.unpack(name)

    def __iter__(self) -> Iterator[str]:
        return iter(self.names)

    def __len__(self) -> int:
        return len(self.names)


def save_masks(masks: Masks, path: str | Path) -> None:
    """Write bool masks by layer name, with shapes in the metadata."""
    packed = {name: np.packbits(np.asarray(mask)) for name, mask in masks.items()}
    shapes = {name: list(mask.shape) for name, mask in masks.items()}
    save_arrays(packed, path, {"shapes": json.dumps(shapes)})


def read_masks(path: str | Path) -> Mapping[str, NDArray[np.bool_]]:
    """Masks of `save_masks` in the same order, unpacked at every access.

    Raises ValueError for a damaged file.
    """
    packed, metadata = load_arrays(path)
    shapes = json.loads(metadata["shapes"])

    def unpacked(name: str) -> NDArray[np.bool_]:
        bits = np.unpackbits(packed[name], count=int(np.prod(shapes[name])))
        return bits.astype(bool).reshape(shapes[name])

    return Unpacked(shapes, unpacked)


def mask_hash(masks: Masks) -> str:
    """SHA-256 of names, shapes and packed bits, in layer order."""
    digest = hashlib.sha256()
    for name, mask in masks.items():
        digest.update(f"{name}{tuple(mask.shape)}".encode())
        digest.update(np.packbits(np.asarray(mask)).tobytes())
    return digest.hexdigest()


def check_groups(masks: Masks, pattern: str, tiles: Mapping[str, Any]) -> None:
    """Raise ValueError where a group of weights violates the N:M `pattern`.

    Groups in dense tiles of PATCH's map `tiles` (see `leap_suite.stages.binarise`; empty for all
    other methods) must keep all weights. Patterns other than N:M are not checked.
    """
    group = group_of(pattern)
    if not group:
        return
    for name, mask_OI in masks.items():
        kept_OG = np.asarray(mask_OI).reshape(mask_OI.shape[0], -1, group[1]).sum(axis=2)
        wanted_OG = _wanted(name, kept_OG.shape, group, tiles)
        wrong = int((kept_OG != wanted_OG).sum())
        if wrong:
            raise ValueError(
                f"{name}: {wrong} of {kept_OG.size} groups do not keep {pattern}"
                f"{' or a dense tile' if tiles else ''}: the pruning method's pattern is wrong"
            )


def _wanted(
    name: str, shape: tuple[int, ...], group: tuple[int, int], tiles: Mapping[str, Any]
) -> NDArray[np.int64]:
    """Required number of surviving weights per group [O, G]."""
    if not tiles:
        return np.full(shape, group[0])
    dense_UV = np.array([[sign == "1" for sign in row] for row in tiles["dense"][name]])
    wide_OG = dense_UV.repeat(tiles["size"], axis=0)
    wide_OG = wide_OG.repeat(tiles["size"] // group[1], axis=1)[: shape[0], : shape[1]]
    return np.where(wide_OG, group[1], group[0])


def jaccard(first: Path, second: Path) -> float:
    """Jaccard index of the weights kept by two mask files.

    Raises ValueError where their layers differ.
    """
    one, other = read_masks(first), read_masks(second)
    if {n: m.shape for n, m in one.items()} != {n: m.shape for n, m in other.items()}:
        raise ValueError(f"{first} and {second} are masks of different models")
    both = sum(int((mask & other[name]).sum()) for name, mask in one.items())
    either = sum(int((mask | other[name]).sum()) for name, mask in one.items())
    return both / either if either else 1.0
