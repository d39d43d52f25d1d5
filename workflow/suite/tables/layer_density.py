"""Layer densities of a mask, from its manifest."""

from collections.abc import Mapping
from typing import Any


def kept_by_kind(manifest: Mapping[str, Any]) -> dict[str, list[float]]:
    """Density in percent by kind of layer (q, k, up, ...) and block."""
    kinds: dict[str, list[float]] = {}
    for name, sparsity in manifest["layer_sparsity"].items():
        kind = name.rsplit(".", 1)[1].removesuffix("_proj")
        kinds.setdefault(kind, []).append(100 * (1 - sparsity))
    return kinds
