"""Methods by name, their settings, and the driver that runs each.

A method is the module `baselines/<name>.py`, with underscores for the hyphens of its name.
"""

from collections.abc import Callable, Mapping
from dataclasses import fields
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Protocol, cast

if TYPE_CHECKING:
    from torch import Tensor


class Statistic(Protocol):
    """Statistic of a layer's inputs, gathered batch by batch."""

    def update(self, inputs_TI: "Tensor") -> None:
        """Add one batch of T tokens with I features."""


class Method(Protocol):
    """Interface of a method's module.

    `prepare` runs once for all layers that share an input, `prune` once per layer. `prune` returns
    the new weight and the bool mask of the `keep` surviving weights, both [O, I]; the driver zeroes
    the removed weights. Settings are a frozen dataclass; `budget` says where weights compete (see
    `baselines.selection`), and `seed` differs for every layer.

    Two functions are optional: `events(prepared)` returns numbers to record, by name;
    `score(weight_OI, prepared)` [O, I] makes `budget: global` possible.
    """

    Statistic: Callable[[], Statistic]
    Settings: type

    def prepare(self, statistic: Any, settings: Any) -> Any: ...

    def prune(
        self, weight_OI: "Tensor", prepared: Any, keep: int, settings: Any
    ) -> "tuple[Tensor, Tensor]": ...

    def score(self, weight_OI: "Tensor", prepared: Any) -> "Tensor": ...

    def events(self, prepared: Any) -> dict[str, float]: ...


def module_name(name: str) -> str:
    """Module of the method or driver called `name`."""
    return f"baselines.{name.replace('-', '_')}"


def load(name: str) -> Method:
    """Module of the method called `name`; one that is its own driver has `prune_model` instead.

    Raises ValueError where no such method exists.
    """
    wanted = module_name(name)
    file = f"{wanted.replace('.', '/')}.py"
    if find_spec(wanted) is None:
        raise ValueError(f"unknown method {name!r}: there is no module {file}")
    module = import_module(wanted)
    own_driver = hasattr(module, "prune_model")
    parts = ("Settings",) if own_driver else ("Statistic", "Settings", "prepare", "prune")
    missing = [part for part in parts if not hasattr(module, part)]
    if missing:
        raise ValueError(f"{file} is not a method: it lacks {', '.join(missing)}")
    return cast(Method, module)


def driver(settings: Mapping[str, Any]) -> str:
    """Module whose `prune_model` runs a method with these plain settings."""
    if "mask_from" in settings:
        return "reconstruct"
    return "whole_model" if settings.get("budget") == "global" else "sequential"


def make_settings(method: Method, name: str, values: Mapping[str, Any]) -> Any:
    """Settings of the method from plain values. Raises ValueError for an unknown setting."""
    known = {field.name for field in fields(method.Settings)}
    unknown = sorted(set(values) - known)
    if unknown:
        raise ValueError(
            f"methods.{name}: unknown setting {', '.join(unknown)}; "
            f"known: {', '.join(sorted(known))}"
        )
    return method.Settings(**values)
