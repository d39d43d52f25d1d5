"""Validation of methods that take masks or densities from other methods."""

from collections.abc import Iterator, Mapping
from typing import Any

from leap_suite.plan.methods import (
    FREE,
    TakenMasks,
    lent_by,
    masks_taken,
    methods_that_are,
    pattern_of,
    written_pattern,
)
from leap_suite.plan.validation import Problem, unknown_name


def lender_problems(settings: Mapping[str, Any], name: str) -> Iterator[Problem]:
    """Methods that cannot lend their masks or densities to the method `name`."""
    taken = masks_taken(settings["implementations"][name], settings["methods"][name])
    for setting, masks in taken.items():
        if problem := _lender_problem(settings, name, setting, masks):
            yield "allocation.from" if setting == "allocation" else setting, problem


def _lender_problem(settings: Mapping[str, Any], name: str, setting: str, masks: TakenMasks) -> str:
    """Why a lender is unknown, takes masks from `name` or has another pattern; "" if it is fine."""
    methods, trained = settings["methods"], methods_that_are("trained", settings)
    source, starts = masks.method, name in trained and setting != "mask_from"
    if source not in methods:
        named = unknown_name(source, [*(["random"] if starts else []), *sorted(methods)])
        return f"there is no method {named} under methods"
    if setting == "warm_start" and source in trained:
        return f"{source} is trained; use random or a layer-wise method with settings under methods"
    if setting == "mask_from" and methods[source].get("trained") == "all":
        return f"{source} trains all parameters, of which only masks and weights would be kept"
    densities = setting == "allocation"
    if source == name and not starts:
        own = "take its own densities" if densities else "keep its own masks"
        return f"a method cannot {own}; name another"
    if name in lent_by([source], settings) and not starts:
        variant = f"a variant of it, as in NAME: {{like: {name}, allocation: ...}}"
        instead = f"give the allocation to {variant}" if densities else "name another"
        return f"{source} takes masks from {name} itself; {instead}"
    pattern = written_pattern(settings["implementations"][source], methods[source])
    if masks.pattern is None or pattern == (masks.pattern or FREE):
        return ""
    budget = f'with budget "{masks.pattern}"' if masks.pattern else "without an N:M budget"
    return f"must be {'random or ' if starts else ''}a method {budget}, not {source}"


def allocation_problems(settings: Mapping[str, Any], name: str) -> Iterator[Problem]:
    """Densities for a budget that determines them itself."""
    values = settings["methods"][name]
    budget = values.get("budget", "")
    spreads = budget == "global" or pattern_of(settings["implementations"][name], values)
    if spreads and values.get("allocation", "uniform") != "uniform":
        yield (
            "allocation",
            f"budget {budget} spreads sparsity itself; use another budget or allocation uniform",
        )
