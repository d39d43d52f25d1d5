"""The method that a run's verdicts are about (the subject), and its opponents."""

from collections.abc import Iterator, Mapping
from typing import Any

from leap_suite.plan.cell import LEAP
from leap_suite.plan.methods import (
    mask_learners,
    masks_taken,
    methods_that_are,
    weight_learners,
)
from leap_suite.plan.validation import unknown_name


def subject_of(settings: Mapping[str, Any]) -> str:
    """The subject, LEAP by default."""
    return str(settings.get("subject", LEAP))


def judged(settings: Mapping[str, Any]) -> dict[str, Any]:
    """`subject`, its `opponents` in the grid, those of its `kind` (`kindred`), and `against`.

    Opponents are all methods of the grid except controls, the subject, its variants, and methods
    that keep masks or take densities of these; a method that only starts from the subject's masks
    is an opponent. The kindred of a method that retrains the kept weights do so too; the kindred
    of any other are the layer-wise methods that do not.
    """
    subject = subject_of(settings)
    retraining = methods_that_are("retrains", settings) | weight_learners(settings)
    learned, retrains = mask_learners(settings), subject in retraining
    opponents = [name for name in settings["grid"]["methods"] if _is_opponent(name, settings)]
    kindred = [
        name
        for name in opponents
        if (name in retraining) == retrains and (retrains or not learned & _kept(name, settings))
    ]
    return {
        "subject": subject,
        "kind": "retraining" if retrains else "layer-wise",
        "kindred": kindred,
        "opponents": opponents,
        "against": [name for name in settings.get("against", []) if name != subject],
    }


def problems(settings: Mapping[str, Any]) -> Iterator[str]:
    """Unknown subjects and opponents, one line each."""
    known = sorted(settings["methods"])
    named = [("against", name) for name in settings.get("against", [])]
    for setting, name in [("subject", subject_of(settings)), *named]:
        if name not in known and (setting, name) != ("subject", LEAP):
            yield f"{setting}: there is no method {unknown_name(name, known)} under methods"


def _is_opponent(name: str, settings: Mapping[str, Any]) -> bool:
    implementations = settings["implementations"]
    own = implementations.get(subject_of(settings))
    kept = {implementations[each] for each in _kept(name, settings)}
    return name not in methods_that_are("control", settings) and own not in kept


def _kept(name: str, settings: Mapping[str, Any]) -> set[str]:
    """The method, and those whose masks or densities it keeps, directly or not."""
    taken = masks_taken(settings["implementations"][name], settings["methods"][name])
    lenders = [masks.method for setting, masks in taken.items() if setting != "warm_start"]
    return {name}.union(*(_kept(lender, settings) for lender in lenders))
