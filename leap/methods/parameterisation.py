"""Interface of a mask-learning method: initial logits, gate, and mask selection.

A parameterisation provides a layer's initial logits and the gate, which turns logits into the
masked weight during training. Data, loss, schedules, optimiser, resuming and multi-process training
are the same for all methods (`leap.training`). Each method is one module in `leap.methods`, found
by its name. A layer's logits come in parts, tensors by name: every method has the part `logits`,
PATCH also has `patterns`. Axes: O outputs, I inputs.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any, ClassVar, Protocol, cast

from torch import Tensor

from leap.distributed.rows import Rows
from leap.methods.relaxation import Relaxation
from leap.settings import Settings

Shape = tuple[int, int]
Parts = Mapping[str, Tensor]


@dataclass(frozen=True)
class Start:
    """Inputs of a layer's initial logits: shape, settings, seed, one-shot masks.

    `prior_OI` is the mask that the warm start begins with; `sparse_OI` is PATCH's N:M mask.
    """

    shape: Shape
    settings: Settings
    seed: int
    prior_OI: Tensor | None = None
    sparse_OI: Tensor | None = None


@dataclass(frozen=True)
class Draw:
    """One sample of a layer's mask.

    `norm` is that of the masked weight which the loss needs: `l2` (Frobenius), `l1`, or `none`.
    With `recompute` the mask is drawn again in the backward pass instead of being kept. Where a
    process has some of the layer's `rows` only, logits, weights and `sparse_OI` are these rows',
    and so are the mask, its sum and the norm: the same numbers as in the mask of all rows.
    """

    relaxation: Relaxation
    seed: int
    norm: str
    recompute: bool
    sparse_OI: Tensor | None = None
    rows: Rows | None = None

    @property
    def own(self) -> slice:
        """Rows of the layer in this process."""
        return slice(self.rows.first, self.rows.stop) if self.rows else slice(None)

    @property
    def options(self) -> tuple[Relaxation, int, str, bool, Rows | None]:
        """Last arguments of every gate function."""
        return self.relaxation, self.seed, self.norm, self.recompute, self.rows


class Parameterisation(Protocol):
    """Logits and gate of one method. Raises ValueError for a mask or shape that does not fit.

    `method` is the module's name in `leap.methods`.
    """

    method: ClassVar[str]

    @property
    def row_block(self) -> int:
        """Number of adjacent rows that sharding keeps together because they share logits."""

    def check(self, settings: Settings, has_sparse: bool) -> None:
        """Reject settings that the method does not support."""

    def first(self, start: Start) -> dict[str, Tensor]:
        """Initial logits of a layer by part, float32 on the CPU."""

    def gate(self, logits: Parts, weight_OI: Tensor, draw: Draw) -> tuple[Tensor, Tensor, Tensor]:
        """Masked weight [O, I] in the weight's dtype, sum of the mask, norm of the masked weight.

        Of the rows in `draw` where it names some.

        The two scalars are float64. Only the logits receive a gradient, equal seeds give equal
        masks.
        """


@dataclass(frozen=True)
class Learned:
    """Result of a training: final logits, float32 on the CPU, in model order.

    Of several processes only the first one has logits, those of the whole model.
    The part `logits` is under its layer's name; `key` says where further parts are. `shapes` are
    the layers' [O, I], `sparse` PATCH's N:M masks.
    """

    logits: Parts
    settings: Settings
    parameterisation: Parameterisation
    shapes: Mapping[str, Shape]
    sparse: Mapping[str, Tensor] | None = None


class Module(Protocol):
    """Functions that a method's module in `leap.methods` provides."""

    def from_settings(self, values: Mapping[str, Any]) -> Parameterisation:
        """Parameterisation for a method's plain settings."""

    def masks(self, learned: Learned) -> dict[str, Tensor]:
        """Bool masks [O, I] by layer name, selected by `learned.settings.selection`."""


def load(method: str) -> Module:
    """Module of a mask-learning method. Raises ValueError for an unknown or incomplete one."""
    name = f"leap.methods.{method}"
    try:
        module = import_module(name)
    except ModuleNotFoundError as error:
        if error.name != name:
            raise
        raise ValueError(
            f"unknown learned method {method!r}: there is no module leap/methods/{method}.py"
        ) from None
    for function in ("from_settings", "masks"):
        if not hasattr(module, function):
            raise ValueError(f"{name} has no function {function}: add one")
    return cast(Module, module)


def key(layer: str, part: str) -> str:
    """Name of a part of a layer's logits: the layer's own name for the part `logits`."""
    return layer if part == "logits" else f"{layer}/{part}"
