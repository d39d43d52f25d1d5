"""What is learned of a mask: one gate a weight (LEAP), one choice a group (MaskLLM), tiles (PATCH).

A parameterisation says which logits a layer begins with, how they become the masked weight while
it is trained, and which mask they end in. All else (data, loss, schedules, optimiser, resuming,
several processes) is `leap.training`, the same for all. Logits come in parts, tensors by name: the
part `logits` that every parameterisation has, and with PATCH's `joint` also `patterns`. Axes: O
outputs, I inputs, G groups of a row, K patterns, U by V tiles.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from torch import Tensor

from leap import hardening, patterns, tiles
from leap.gates import Relaxation, gate
from leap.settings import Settings
from leap.warm_start import first_logits

Shape = tuple[int, int]


@dataclass(frozen=True)
class Start:
    """What a layer's first logits depend on: the settings, one-shot masks [O, I], a seed.

    `prior` is the mask that the warm start begins with; `sparse` is PATCH's N:M mask.
    """

    settings: Settings
    seed: int
    prior: Tensor | None = None
    sparse: Tensor | None = None


@dataclass(frozen=True)
class Draw:
    """One drawing of a layer's mask: how it is relaxed, its seed, and what comes along with it.

    `norm` and `recompute` are those of `leap.gates.gate`.
    """

    relaxation: Relaxation
    seed: int
    norm: str
    recompute: bool


class Parameterisation(Protocol):
    """What `leap.training` asks of one. Raises ValueError for a mask or shape that does not fit."""

    def check(self, settings: Settings, has_sparse: bool) -> None:
        """Raise ValueError for settings that it cannot do."""

    def first(self, shape: Shape, start: Start) -> dict[str, Tensor]:
        """A layer's first logits by part, float32 on the CPU."""

    def gate(
        self, logits: Mapping[str, Tensor], weight_OI: Tensor, sparse: Tensor | None, draw: Draw
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Masked weight [O, I], sum of the mask, norm of the masked weight; see `leap.gates`."""

    def masks(
        self,
        logits: Mapping[str, Tensor],
        sparse: Mapping[str, Tensor] | None,
        shapes: Mapping[str, Shape],
        settings: Settings,
    ) -> dict[str, Tensor]:
        """Final bool masks [O, I] by layer; `logits` of all layers under `key(layer, part)`."""


def key(layer: str, part: str) -> str:
    """Under which name a part of a layer's logits is kept: the layer's own, but for `patterns`."""
    return layer if part == "logits" else f"{layer}/{part}"


@dataclass(frozen=True)
class Weights:
    """LEAP: one logit a weight (arXiv 2605.17289)."""

    def check(self, settings: Settings, has_sparse: bool) -> None:
        pass

    def first(self, shape: Shape, start: Start) -> dict[str, Tensor]:
        s = start.settings
        return {
            "logits": first_logits(shape, s.init_std, start.seed, start.prior, s.prior_strength)
        }

    def gate(
        self, logits: Mapping[str, Tensor], weight_OI: Tensor, sparse: Tensor | None, draw: Draw
    ) -> tuple[Tensor, Tensor, Tensor]:
        options = draw.relaxation, draw.seed, draw.norm, draw.recompute
        return gate(logits["logits"], weight_OI, *options)

    def masks(
        self,
        logits: Mapping[str, Tensor],
        sparse: Mapping[str, Tensor] | None,
        shapes: Mapping[str, Shape],
        settings: Settings,
    ) -> dict[str, Tensor]:
        if settings.hardening == "threshold":
            return hardening.threshold_masks(logits)
        return hardening.exact_masks(logits, settings.sparsity)


@dataclass(frozen=True)
class Patterns:
    """MaskLLM: one logit for each pattern N:M of each group (arXiv 2409.17481)."""

    n: int
    m: int

    def check(self, settings: Settings, has_sparse: bool) -> None:
        patterns.patterns(self.n, self.m)  # refuses those with too many
        if abs(settings.sparsity - (1 - self.n / self.m)) > 1e-9:
            raise ValueError(
                f"sparsity is {settings.sparsity}, but the pattern {self.n}:{self.m} has "
                f"{1 - self.n / self.m} and no other"
            )

    def first(self, shape: Shape, start: Start) -> dict[str, Tensor]:
        s = start.settings
        options = s.init_std, start.seed, start.prior, s.prior_strength
        return {"logits": patterns.first_pattern_logits(shape, self.n, self.m, *options)}

    def gate(
        self, logits: Mapping[str, Tensor], weight_OI: Tensor, sparse: Tensor | None, draw: Draw
    ) -> tuple[Tensor, Tensor, Tensor]:
        options = draw.relaxation, draw.seed, draw.norm, draw.recompute
        return patterns.pattern_gate(logits["logits"], weight_OI, self.n, self.m, *options)

    def masks(
        self,
        logits: Mapping[str, Tensor],
        sparse: Mapping[str, Tensor] | None,
        shapes: Mapping[str, Shape],
        settings: Settings,
    ) -> dict[str, Tensor]:
        return {name: patterns.pattern_masks(logits[name], self.n, self.m) for name in shapes}


@dataclass(frozen=True)
class Tiles:
    """PATCH: one logit a tile, dense or N:M sparse (arXiv 2509.23410).

    The N:M masks are given and fixed, or `joint`ly learned as MaskLLM's, from those given if any.
    """

    size: int
    n: int
    m: int
    joint: bool

    def check(self, settings: Settings, has_sparse: bool) -> None:
        patterns.patterns(self.n, self.m)
        if self.size % self.m:
            raise ValueError(f"tiles of {self.size} cannot be cut into groups of {self.m}")
        if settings.sparsity > 1 - self.n / self.m:
            raise ValueError(
                f"sparsity is {settings.sparsity}, but tiles that are dense or {self.n}:{self.m} "
                f"reach {1 - self.n / self.m} at most"
            )
        if not (self.joint or has_sparse):
            raise ValueError("tiles over fixed N:M masks need those masks, or joint training")

    def first(self, shape: Shape, start: Start) -> dict[str, Tensor]:
        s = start.settings
        std, strength = s.init_std, s.prior_strength
        logits = {
            "logits": tiles.first_tile_logits(
                shape, self.size, std, start.seed, start.prior, 1 - s.sparsity, strength
            )
        }
        if self.joint:
            options = std, start.seed ^ 1, start.sparse, strength
            logits["patterns"] = patterns.first_pattern_logits(shape, self.n, self.m, *options)
        return logits

    def gate(
        self, logits: Mapping[str, Tensor], weight_OI: Tensor, sparse: Tensor | None, draw: Draw
    ) -> tuple[Tensor, Tensor, Tensor]:
        below = logits["patterns"] if self.joint else sparse
        assert below is not None  # see check
        options = draw.relaxation, draw.seed, draw.norm, draw.recompute
        pattern = self.n, self.m
        return tiles.tile_gate(logits["logits"], below, weight_OI, self.size, pattern, *options)

    def masks(
        self,
        logits: Mapping[str, Tensor],
        sparse: Mapping[str, Tensor] | None,
        shapes: Mapping[str, Shape],
        settings: Settings,
    ) -> dict[str, Tensor]:
        dense = self.dense_tiles(logits, shapes, settings)
        masks = {}
        for name in shapes:
            if self.joint:
                logits_OGK = logits[key(name, "patterns")]
                sparse_OI = patterns.pattern_masks(logits_OGK, self.n, self.m)
            else:
                assert sparse is not None  # see check
                sparse_OI = sparse[name]
            masks[name] = tiles.tile_masks(dense[name], sparse_OI, self.size)
        return masks

    def dense_tiles(
        self, logits: Mapping[str, Tensor], shapes: Mapping[str, Shape], settings: Settings
    ) -> dict[str, Tensor]:
        """Which tiles are dense, bool [U, V] by layer, hardened as the settings say."""
        of_tiles = {name: logits[name] for name in shapes}
        if settings.hardening == "threshold":
            return tiles.positive_tiles(of_tiles)
        weights = {name: tiles.tile_weights(shape, self.size) for name, shape in shapes.items()}
        return tiles.exact_tiles(of_tiles, weights, settings.sparsity, (self.n, self.m))
