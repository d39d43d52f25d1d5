"""Finding a method by its name, the module `baselines/<name>.py`, and the driver that runs it.

A hyphen in the name is an underscore in that of the module.
"""

from collections.abc import Callable, Mapping
from dataclasses import fields
from importlib import import_module
from typing import TYPE_CHECKING, Any, Protocol, cast

if TYPE_CHECKING:
    from torch import Tensor


class Statistic(Protocol):
    """Gathers what a method needs from a layer's inputs, batch by batch."""

    def update(self, inputs_TI: "Tensor") -> None:
        """Take in one batch of T tokens with I features."""


class Method(Protocol):
    """What a module in this folder provides to be a method.

    `prepare` runs once for all layers that see the same input, `prune` once a layer. `prune`
    returns the new weight and the bool mask of the `keep` weights that survive, both [O, I]; the
    driver sets what is outside the mask to zero. Settings are a frozen dataclass; one called
    `budget` says where weights compete (see `baselines.selection`), and `seed`, for `prune`, is
    another one for every layer.

    Two functions are optional: `events(prepared)` gives what has to be recorded, as numbers by
    name; `score(weight_OI, prepared)` [O, I] makes `budget: global` possible.
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
    """The module of the method called `name`, or of a driver."""
    return f"baselines.{name.replace('-', '_')}"


def load(name: str) -> Method:
    """The method called `name`, which may be its own driver and then has `Settings` only.

    Raises ValueError where no such method exists.
    """
    wanted = module_name(name)
    file = f"{wanted.replace('.', '/')}.py"
    try:
        module = import_module(wanted)
    except ModuleNotFoundError as error:
        if error.name != wanted:
            raise
        raise ValueError(f"unknown method {name!r}: there is no module {file}") from None
    own_driver = all(hasattr(module, part) for part in ("Settings", "prune_model"))
    parts = ("Statistic", "Settings", "prepare", "prune")
    missing = [part for part in parts if not hasattr(module, part)]
    if missing and not own_driver:
        raise ValueError(f"{file} is not a method: it lacks {', '.join(missing)}")
    return cast(Method, module)


def driver(settings: Mapping[str, Any]) -> str:
    """The module in this folder whose `prune_model` runs a method with these plain settings."""
    if "mask_from" in settings:
        return "reconstruct"
    return "whole_model" if settings.get("budget") == "global" else "sequential"


def make_settings(method: Method, name: str, values: Mapping[str, Any]) -> Any:
    """The method's settings from plain values. Raises ValueError on an unknown setting."""
    known = {field.name for field in fields(method.Settings)}
    unknown = sorted(set(values) - known)
    if unknown:
        raise ValueError(
            f"methods.{name}: unknown setting {', '.join(unknown)}; "
            f"known: {', '.join(sorted(known))}"
        )
    return method.Settings(**values)
