"""One budget of steps for a learned mask and the weights under it.

With `mask_share: 0.5` a method that trains the weights of a learned mask leaves half of its text to
the training of the mask: `mask_from` is trained for that long only, as <method>-<N>-steps.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from leap.settings import mask_steps
from leap_suite.plan.validation import Problem


def problems(settings: Mapping[str, Any], name: str) -> Iterator[Problem]:
    """Masks that cannot share a budget with the method `name`."""
    methods, values = settings["methods"], settings["methods"][name]
    if not _shares(values) or values["mask_from"] not in methods:
        return
    lender = values["mask_from"]
    if "steps" not in methods[lender] or "batch" not in methods[lender]:
        yield (
            "mask_share",
            f"{lender} is not trained; set mask_share to 0, or name a learned method",
        )
        return
    made, shorter = _shorter(methods, values)
    steps = mask_steps(values["steps"], values["mask_share"])
    if not shorter["steps"] or not 0 < steps < values["steps"]:
        yield "mask_share", f"divides {values['steps']} steps into parts of 0; change one"
    elif methods.get(made, shorter) != shorter:
        yield "mask_share", f"there is another method {made}; rename it"


def expand(settings: Mapping[str, Any]) -> None:
    """Add the shorter trainings of masks to `methods` and `implementations`, and take masks there.

    Call `problems` first.
    """
    methods, implementations = settings["methods"], settings["implementations"]
    for name, values in [*methods.items()]:
        if _shares(values):
            made, shorter = _shorter(methods, values)
            implementations.setdefault(made, implementations[values["mask_from"]])
            methods[made] = shorter
            methods[name] = {**values, "mask_from": made}


def _shares(values: Mapping[str, Any]) -> bool:
    return bool(values.get("mask_share"))


def _shorter(
    methods: Mapping[str, Mapping[str, Any]], values: Mapping[str, Any]
) -> tuple[str, Mapping[str, Any]]:
    """Name and settings of the method that learns the mask from its share of the text."""
    lender = values["mask_from"]
    sequences = mask_steps(values["steps"], values["mask_share"]) * values["batch"]
    steps = round(sequences / methods[lender]["batch"])
    name = lender if methods[lender]["steps"] == steps else f"{lender}-{steps}-steps"
    return name, {**methods[lender], "steps": steps}
