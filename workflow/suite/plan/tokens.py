"""The study `tokens`: methods that are shown more or less text.

Layer-wise methods are calibrated on the first sequences of the training corpus, and learned ones
trained for fewer or more steps; each amount is a variant that the study makes by itself. Beside
them stands every layer-wise method as it is, calibrated as in all other studies.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from suite.plan.calibration import size_of
from suite.plan.methods import known_methods, method_schema

_VARIED = {"calibrated": "calibration", "trained": "steps"}  # the setting, by the kind of method
AS_IT_IS = "as it is"  # the amount of text of a layer-wise method that is no variant


def variants(settings: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """A method for every amount of text, as those under `methods`, by name."""
    if "tokens" not in settings:
        return {}
    found: dict[str, dict[str, Any]] = {}
    for base, sequences in _pairs(settings, "calibrated", "sequences"):
        text = {"corpus": "training", "sequences": sequences}
        found[f"{base}-{sequences}-sequences"] = {"like": base, "calibration": text}
    for base, steps in _pairs(settings, "trained", "steps"):
        found[f"{base}-{steps}-steps"] = {"like": base, "steps": steps}
    return found


def named(settings: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Every method that the study names, with the setting that names it."""
    study = settings.get("tokens", {})
    kinds = [kind for kind in ("calibrated", "trained") if kind in study]
    return [(f"tokens.{kind}.methods", name) for kind in kinds for name in study[kind]["methods"]]


def calibrated(settings: Mapping[str, Any]) -> dict[str, str]:
    """Where the number of sequences of each calibrated variant is written, by its name."""
    pairs = _pairs(settings, "calibrated", "sequences")
    return {f"{base}-{number}-sequences": "tokens.calibrated.sequences" for base, number in pairs}


def points(settings: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """What every method of the study is shown, by its name.

    `method` is the one that is varied, `amount` how much text it is shown in words, and `tokens` in
    numbers, in which a token counts as often as it is seen. A method whose own number of steps is
    among those of the study stands for that variant.
    """
    methods, corpora = settings["methods"], settings["corpora"]
    found = {}
    for base in settings["tokens"]["calibrated"]["methods"]:
        sequences, length = size_of(methods[base], corpora)
        found[base] = {"method": base, "amount": AS_IT_IS, "tokens": sequences * length}
    for base, sequences in _pairs(settings, "calibrated", "sequences"):
        tokens = sequences * corpora["training"]["length"]
        amount = f"{sequences} sequences"
        name = f"{base}-{sequences}-sequences"
        found[name] = {"method": base, "amount": amount, "tokens": tokens}
    for base, steps in _pairs(settings, "trained", "steps"):
        tokens = steps * methods[base]["batch"] * corpora["training"]["length"]
        name = base if methods[base]["steps"] == steps else f"{base}-{steps}-steps"
        found[name] = {"method": base, "amount": f"{steps} steps", "tokens": tokens}
    return found


def problems(settings: Mapping[str, Any]) -> Iterator[str]:
    """Methods that cannot be shown more or less text in the way that is asked for."""
    if "tokens" not in settings:
        return
    for kind, other in (("calibrated", "trained"), ("trained", "calibrated")):
        for name in settings["tokens"][kind]["methods"]:
            implementation = settings["implementations"].get(name)
            if implementation not in known_methods():
                continue  # which is said of the method itself
            schema = method_schema(implementation)
            if schema.get("trained", False) != (kind == "trained"):
                yield f"tokens.{kind}.methods: {name} is not {kind}; list it under tokens.{other}"
            elif _VARIED[kind] not in schema["properties"]:
                yield f"tokens.{kind}.methods: {name} has no setting {_VARIED[kind]!r}"


def _pairs(settings: Mapping[str, Any], kind: str, amounts: str) -> list[tuple[str, int]]:
    """Every method of a kind with every amount."""
    section = settings["tokens"][kind]
    return [(name, amount) for name in section["methods"] for amount in section[amounts]]
