"""Studies of `amounts`: methods with different amounts of text.

Layer-wise methods are calibrated on the first sequences of the training corpus, and learned ones
trained for different numbers of steps; the study makes a variant for each amount. Every layer-wise
method also runs with its own calibration text.
"""

import math
from collections.abc import Iterator, Mapping
from typing import Any

from leap_suite.plan.calibration import size_of
from leap_suite.plan.methods import method_schema
from leap_suite.plan.subject import subject_of

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

    `method` is the base of a variant, `amount` a description, `tokens` what `tokens_seen` counts,
    and `share` their ratio to the tokens of the run's subject, NaN without a subject. A method
    whose own number of steps is in the study replaces that variant.
    """
    found, subject = {}, subject_of(settings)
    whole = tokens_seen(subject, settings) if subject in settings["methods"] else math.nan
    for variant, (setting, own) in methods(settings["studies"][name]["amounts"]).items():
        base, values = own.get("like", variant), settings["methods"][variant]
        if setting.startswith("calibrated"):
            sequences = size_of(values, settings["corpora"])[0]
            amount = f"{sequences} sequences" if own else AS_IT_IS
        elif own:
            steps = values["steps"]
            variant = base if settings["methods"][base]["steps"] == steps else variant
            amount = f"{steps} steps"
        else:
            continue
        tokens = tokens_seen(variant, settings)
        found[variant] = {
            "method": base, "amount": amount, "tokens": tokens, "share": tokens / whole
        }  # fmt: skip
    return found


def tokens_seen(name: str, settings: Mapping[str, Any]) -> int:
    """Tokens of all steps of a method, or of all epochs of its calibration text.

    A token counts as often as it is seen; text behind masks that the method takes does not count.
    """
    values, corpora = settings["methods"][name], settings["corpora"]
    if method_schema(settings["implementations"][name]).get("trained", False):
        return int(values["steps"] * values["batch"] * corpora["training"]["length"])
    sequences, length = size_of(values, corpora)
    return int(sequences * length * values.get("epochs", 1))


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
