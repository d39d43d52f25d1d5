"""Studies of `amounts`: methods with different amounts of text.

Layer-wise methods are calibrated on the first sequences of the training corpus, and learned ones
trained for different numbers of steps; the study makes a variant for each amount. Every layer-wise
method also runs with its own calibration text.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from suite.plan.calibration import size_of
from suite.plan.methods import method_schema

# by name: the setting of a study that names the method, and the settings of a variant
Methods = dict[str, tuple[str, dict[str, Any]]]

_VARIED = {"calibrated": "calibration", "trained": "steps"}  # the setting, by the kind of method
AS_IT_IS = "as it is"  # the amount of text of a layer-wise method that is no variant


def methods(amounts: Mapping[str, Any]) -> Methods:
    """Methods of a study, and a variant for every amount of text."""
    found: Methods = {
        n: (f"{kind}.methods", {}) for kind in _VARIED for n in amounts[kind]["methods"]
    }
    for base, sequences in _pairs(amounts, "calibrated", "sequences"):
        text = {"corpus": "training", "sequences": sequences}
        own = {"like": base, "calibration": text}
        found[f"{base}-{sequences}-sequences"] = ("calibrated.sequences", own)
    for base, steps in _pairs(amounts, "trained", "steps"):
        found[f"{base}-{steps}-steps"] = ("trained.steps", {"like": base, "steps": steps})
    return found


def points(name: str, settings: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Amount of text of every method of a study, by its name.

    `method` is the base of a variant, `amount` a description, and `tokens` counts a token every
    time it is seen. A method whose own number of steps is in the study replaces that variant.
    """
    corpora, found = settings["corpora"], {}
    for variant, (setting, own) in methods(settings["studies"][name]["amounts"]).items():
        base, values = own.get("like", variant), settings["methods"][variant]
        if setting.startswith("calibrated"):
            sequences, length = size_of(values, corpora)
            amount, tokens = f"{sequences} sequences" if own else AS_IT_IS, sequences * length
        elif own:
            steps = values["steps"]
            variant = base if settings["methods"][base]["steps"] == steps else variant
            amount = f"{steps} steps"
            tokens = steps * values["batch"] * corpora["training"]["length"]
        else:
            continue
        found[variant] = {"method": base, "amount": amount, "tokens": tokens}
    return found


def problems(settings: Mapping[str, Any]) -> Iterator[str]:
    """Methods whose amount of text cannot be varied in this way, one line each."""
    for study, values in settings.get("studies", {}).items():
        place = f"studies.{study}.amounts"
        for kind, other in (("calibrated", "trained"), ("trained", "calibrated")):
            for name in values.get("amounts", {}).get(kind, {}).get("methods", []):
                schema = method_schema(settings["implementations"][name])
                if schema.get("trained", False) != (kind == "trained"):
                    wanted = f"list it under {place}.{other}"
                    yield f"{place}.{kind}.methods: {name} is not {kind}; {wanted}"
                elif _VARIED[kind] not in schema["properties"]:
                    yield f"{place}.{kind}.methods: {name} has no setting {_VARIED[kind]!r}"


def _pairs(amounts: Mapping[str, Any], kind: str, numbers: str) -> list[tuple[str, int]]:
    """Every method of a kind with every amount."""
    return [(name, n) for name in amounts[kind]["methods"] for n in amounts[kind][numbers]]
