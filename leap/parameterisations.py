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
Parts = Mapping[str, Tensor]


@dataclass(frozen=True)
class Start:
    """What a layer's first logits depend on: its shape, the settings, a seed, one-shot masks.

    `prior_OI` is the mask that the warm start begins with; `sparse_OI` is PATCH's N:M mask.
    """

    shape: Shape
    settings: Settings
    seed: int
    prior_OI: Tensor | None = None
    sparse_OI: Tensor | None = None


@dataclass(frozen=True)
class Draw:
    """One drawing of a layer's mask; `norm` and `recompute` are those of `leap.gates.gate`."""

    relaxation: Relaxation
    seed: int
    norm: str
    recompute: bool
    sparse_OI: Tensor | None = None

    @property
    def options(self) -> tuple[Relaxation, int, str, bool]:
        """The last arguments of every gate."""
        return self.relaxation, self.seed, self.norm, self.recompute


@dataclass(frozen=True)
class Learned:
    """The result: final logits, float32 on the CPU, in model order, and what makes masks of them.

    LEAP's logits are [O, I] by layer name; `key` says where further parts are kept. `shapes` are
    the layers' [O, I], `sparse` PATCH's N:M masks.
    """

    logits: Parts
    settings: Settings
    parameterisation: "Parameterisation"
    shapes: Mapping[str, Shape]
    sparse: Mapping[str, Tensor] | None = None

    @property
    def masks(self) -> dict[str, Tensor]:
        """Bool masks [O, I] by layer name, hardened as the settings say."""
        return self.parameterisation.masks(self)


class Parameterisation(Protocol):
    """What `leap.training` asks of one. Raises ValueError for a mask or shape that does not fit."""

    def check(self, settings: Settings, has_sparse: bool) -> None:
        """Raise ValueError for settings that it cannot do."""

    def first(self, start: Start) -> dict[str, Tensor]:
        """A layer's first logits by part, float32 on the CPU."""

    def gate(self, logits: Parts, weight_OI: Tensor, draw: Draw) -> tuple[Tensor, Tensor, Tensor]:
        """Masked weight [O, I], sum of the mask, norm of the masked weight; see `leap.gates`."""

    def masks(self, learned: Learned) -> dict[str, Tensor]:
        """Final bool masks [O, I] by layer."""


def key(layer: str, part: str) -> str:
    """Under which name a part of a layer's logits is kept: the layer's own, but for `patterns`."""
    return layer if part == "logits" else f"{layer}/{part}"


@dataclass(frozen=True)
class Weights:
    """LEAP: one logit a weight (arXiv 2605.17289)."""

    def check(self, settings: Settings, has_sparse: bool) -> None:
        pass

    def first(self, start: Start) -> dict[str, Tensor]:
        std, strength = start.settings.init_std, start.settings.prior_strength
        return {"logits": first_logits(start.shape, std, start.seed, start.prior_OI, strength)}

    def gate(self, logits: Parts, weight_OI: Tensor, draw: Draw) -> tuple[Tensor, Tensor, Tensor]:
        return gate(logits["logits"], weight_OI, *draw.options)

    def masks(self, learned: Learned) -> dict[str, Tensor]:
        if learned.settings.hardening == "threshold":
            return hardening.threshold_masks(learned.logits)
        return hardening.exact_masks(learned.logits, learned.settings.sparsity)


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

    def first(self, start: Start) -> dict[str, Tensor]:
        std, strength = start.settings.init_std, start.settings.prior_strength
        options = std, start.seed, start.prior_OI, strength
        return {"logits": patterns.first_pattern_logits(start.shape, self.n, self.m, *options)}

    def gate(self, logits: Parts, weight_OI: Tensor, draw: Draw) -> tuple[Tensor, Tensor, Tensor]:
        return patterns.pattern_gate(logits["logits"], weight_OI, self.n, self.m, *draw.options)

    def masks(self, learned: Learned) -> dict[str, Tensor]:
        return {
            name: patterns.pattern_masks(learned.logits[name], self.n, self.m)
            for name in learned.shapes
        }


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

    def first(self, start: Start) -> dict[str, Tensor]:
        std, strength = start.settings.init_std, start.settings.prior_strength
        options = std, start.seed, start.prior_OI, 1 - start.settings.sparsity, strength
        logits = {"logits": tiles.first_tile_logits(start.shape, self.size, *options)}
        if self.joint:
            below = std, start.seed ^ 1, start.sparse_OI, strength
            first = patterns.first_pattern_logits(start.shape, self.n, self.m, *below)
            logits["patterns"] = first
        return logits

    def gate(self, logits: Parts, weight_OI: Tensor, draw: Draw) -> tuple[Tensor, Tensor, Tensor]:
        below = logits["patterns"] if self.joint else draw.sparse_OI
        assert below is not None  # see check
        options = self.size, (self.n, self.m), *draw.options
        return tiles.tile_gate(logits["logits"], below, weight_OI, *options)

    def masks(self, learned: Learned) -> dict[str, Tensor]:
        dense, below = self.dense_tiles(learned), self._sparse_masks(learned)
        return {n: tiles.tile_masks(dense[n], below[n], self.size) for n in learned.shapes}

    def dense_tiles(self, learned: Learned) -> dict[str, Tensor]:
        """Which tiles are dense, bool [U, V] by layer, hardened as the settings say."""
        logits = {name: learned.logits[name] for name in learned.shapes}
        if learned.settings.hardening == "threshold":
            return tiles.positive_tiles(logits)
        weights = {n: tiles.tile_weights(shape, self.size) for n, shape in learned.shapes.items()}
        return tiles.exact_tiles(logits, weights, learned.settings.sparsity, (self.n, self.m))

    def _sparse_masks(self, learned: Learned) -> Mapping[str, Tensor]:
        if self.joint:
            return {
                name: patterns.pattern_masks(learned.logits[key(name, "patterns")], self.n, self.m)
                for name in learned.shapes
            }
        assert learned.sparse is not None  # see check
        return learned.sparse
