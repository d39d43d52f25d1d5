"""The methods that are trained, as `leap` takes them: LEAP, MaskLLM and PATCH on one trainer."""

from collections.abc import Mapping
from dataclasses import fields
from typing import TYPE_CHECKING, Any

from baselines.pattern import group_of
from leap.settings import Settings

if TYPE_CHECKING:
    from leap.parameterisations import Parameterisation


def parameterisation(method: str, values: Mapping[str, Any]) -> "Parameterisation":
    """What `method` learns of a mask, from its settings. Raises ValueError for another method."""
    from leap.parameterisations import Patterns, Tiles, Weights

    if method == "leap":
        return Weights()
    n, m = group_of(values["pattern"]) or (0, 0)
    if method == "maskllm":
        return Patterns(n, m)
    if method == "patch":
        return Tiles(values["tile"], n, m, joint=values["mode"] == "joint")
    raise ValueError(
        f"{method} is a trained method without a parameterisation: say in "
        "workflow/suite/trained_methods.py which one it uses"
    )


def trainer_settings(values: Mapping[str, Any], sparsity: float, seed: int) -> Settings:
    """Those of a method's settings that the trainer takes, for one cell."""
    known = {field.name for field in fields(Settings)}
    chosen = {key: value for key, value in values.items() if key in known}
    return Settings(**{**chosen, "sparsity": sparsity, "seed": seed})
