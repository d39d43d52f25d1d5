"""Where a mask keeps weights: density by decoder block and kind of layer, as a coloured table."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any

from suite.tables.layer_density import kept_by_kind
from suite.tables.numbers import number


@dataclass(frozen=True)
class Shade:
    """A layer: weights kept in percent, how strong its colour is, from -100 to 100, and its tip."""

    kept: str
    strength: int
    tip: str


@dataclass(frozen=True)
class DensityMap:
    """A row a decoder block, a column a kind of layer; None where a block has none of the kind."""

    sparsity: str
    target: str
    kinds: Sequence[str]
    rows: Sequence[Sequence[Shade | None]]


def density_maps(manifests: Sequence[Mapping[str, Any]]) -> list[DensityMap]:
    """A map a manifest, in ascending sparsity; all have one scale of colours."""
    ordered = sorted(manifests, key=lambda manifest: manifest["target_sparsity"])
    largest = largest_difference(manifests)
    return [_map(manifest, largest) for manifest in ordered]


def largest_difference(manifests: Sequence[Mapping[str, Any]]) -> float:
    """The most that a layer's density differs from the target, in points; 0 without manifests."""
    targets = (
        abs(100 * (manifest["target_sparsity"] - sparsity))
        for manifest in manifests
        for sparsity in manifest["layer_sparsity"].values()
    )
    return max(targets, default=0.0)


def _map(manifest: Mapping[str, Any], largest: float) -> DensityMap:
    target = 100 * (1 - manifest["target_sparsity"])
    kinds = kept_by_kind(manifest)
    rows = [
        [
            None if kept is None else _shade(kind, block, kept, target, largest)
            for kind, kept in zip(kinds, of_block, strict=True)
        ]
        for block, of_block in enumerate(zip_longest(*kinds.values()))
    ]
    return DensityMap(str(manifest["target_sparsity"]), number(target, 1), list(kinds), rows)


def _shade(kind: str, block: int, kept: float, target: float, largest: float) -> Shade:
    difference = kept - target
    tip = f"Block {block}, {kind}: {number(kept)} % kept, {number(difference, sign='+')} points"
    return Shade(number(kept, 1), round(100 * difference / largest) if largest else 0, tip)
