"""PATCH: tiles of a weight matrix that are dense or N:M sparse.

Hourri, Mozaffari, Mehri Dehnavi 2025, arXiv 2509.23410. Axes: O outputs, I inputs, U by V tiles.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from leap.methods.parameterisation import Draw, Parts, Start
from leap.methods.patch.gate import tile_gate
from leap.methods.patch.selection import describe as describe
from leap.methods.patch.selection import masks as masks
from leap.methods.patch.tiles import tile_sums, tile_weights
from leap.methods.patterns import first_pattern_logits, numbers_of, patterns
from leap.methods.relaxation import widened
from leap.settings import Settings


def from_settings(values: Mapping[str, Any]) -> "Patch":
    """Parameterisation for the settings `pattern`, `tile` and `mode` (tile or joint).

    Raises ValueError where the pattern is no "N:M" or there is no such mode.
    """
    if values["mode"] not in ("tile", "joint"):
        raise ValueError(f"mode is {values['mode']!r}, but must be tile or joint")
    return Patch(values["tile"], *numbers_of(values["pattern"]), joint=values["mode"] == "joint")


@dataclass(frozen=True)
class Patch:
    """One logit per tile, dense or N:M sparse.

    The N:M masks are given and fixed, or `joint`ly learned as MaskLLM's, from those given if any.
    """

    method: ClassVar[str] = "patch"
    size: int
    n: int
    m: int
    joint: bool

    @property
    def row_block(self) -> int:
        return self.size

    def check(self, settings: Settings, has_sparse: bool) -> None:
        patterns(self.n, self.m)
        if self.size % self.m:
            raise ValueError(f"tiles of {self.size} cannot be cut into groups of {self.m}")
        if settings.sparsity > 1 - self.n / self.m:
            raise ValueError(
                f"sparsity is {settings.sparsity}, but tiles that are dense or {self.n}:{self.m} "
                f"reach {1 - self.n / self.m} at most"
            )
        if not (self.joint or has_sparse):
            raise ValueError("tiles over fixed N:M masks need those masks, or joint training")

    def first(self, start: Start) -> dict[str, Tensor]:
        std, strength = start.settings.init_std, start.settings.prior_strength
        options = std, start.seed, start.prior_OI, 1 - start.settings.sparsity, strength
        logits = {"logits": first_tile_logits(start.shape, self.size, *options)}
        if self.joint:
            below = std, start.seed ^ 1, start.sparse_OI, strength
            first = first_pattern_logits(start.shape, self.n, self.m, *below)
            logits["patterns"] = first
        return logits

    def gate(self, logits: Parts, weight_OI: Tensor, draw: Draw) -> tuple[Tensor, Tensor, Tensor]:
        below = widened(logits["patterns"]) if self.joint else draw.sparse_OI
        assert below is not None  # see check
        options = self.size, (self.n, self.m), *draw.options
        return tile_gate(widened(logits["logits"]), below, weight_OI, *options)


def first_tile_logits(
    shape: tuple[int, int], size: int, std: float, seed: int, prior_OI: Tensor | None,
    density: float, strength: float,
) -> Tensor:  # fmt: skip
    """Initial logits [U, V], float32: N(0, std^2), shifted by a prior mask.

    `prior_OI` is an unstructured mask: of all tiles the round(2 * tiles * (density - 0.5)) in
    which it keeps the largest share go up, the first among equals. No noise changes a sign.
    """
    weights_UV = tile_weights(shape, size)
    random = torch.Generator().manual_seed(seed)
    logits_UV = torch.empty(weights_UV.shape).normal_(0, std, generator=random)
    if prior_OI is None:
        return logits_UV
    if prior_OI.shape != shape:
        raise ValueError(f"the prior mask has shape {tuple(prior_OI.shape)}, its layer {shape}")
    share_UV = tile_sums(prior_OI.double(), size) / weights_UV
    dense = min(max(math.floor(2 * share_UV.numel() * (density - 0.5) + 0.5), 0), share_UV.numel())
    order = share_UV.flatten().argsort(descending=True, stable=True)
    sign_UV = torch.full((share_UV.numel(),), -1.0)
    sign_UV[order[:dense]] = 1.0
    step = strength * std
    if step:
        logits_UV.clamp_(-0.99 * step, 0.99 * step)
    return logits_UV + step * sign_UV.view(share_UV.shape)
