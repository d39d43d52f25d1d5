"""Variants of methods and named presets, resolved to complete settings.

Under `methods`, `like: leap` starts from the settings of leap, and `preset: paper` from a named set
of settings; whatever is written beside them wins.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict
from typing import Any

from leap.settings import ELSA_PRESETS, PRESETS, Settings
from leap_suite.plan.methods import known_methods
from leap_suite.plan.validation import Problem, shown, unknown_name

Methods = Mapping[str, Mapping[str, Any]]

_OF_THE_CELL = ("sparsity", "seed")  # no settings of a method


def resolve(methods: Methods) -> tuple[dict[str, dict[str, Any]], dict[str, str]]:
    """Complete settings and implementation of every method, by name. Call `problems` first."""
    resolved, implementations = {}, {}
    for name in methods:
        line = _ancestors(methods, name)
        values: dict[str, Any] = {}
        for ancestor in reversed(line):
            values |= methods[ancestor]
        values.pop("like", None)
        if "preset" in values:
            values = {**_preset(values.pop("preset")), **values}
        resolved[name], implementations[name] = values, line[-1]
    return resolved, implementations


def problems(methods: Methods, places: Mapping[str, str]) -> Iterator[str]:
    """Unknown methods, `like` and `preset`, one line each, at the places of methods."""
    known = known_methods()
    usable = [name for name in methods if _ancestors(methods, name)[-1] in known]
    for name, place in places.items():
        own, last = methods[name], _ancestors(methods, name)[-1]
        like = own.get("like")
        if like is None and name not in known:
            yield f"{place}: there is no method {unknown_name(name, known, usable)}"
        if like is not None and like not in methods:
            meant = unknown_name(like, sorted(methods))
            yield f"{place}.like: there is no method {meant} under methods"
        if methods[last].get("like") == name == min(_ancestors(methods, name)):  # once per circle
            yield f"{place}.like: leads back to itself; name another method"
        known_presets = [*PRESETS, *ELSA_PRESETS]
        if own.get("preset", "default") not in known_presets:
            yield f"{place}.preset: there is no preset {unknown_name(own['preset'], known_presets)}"


def once(
    check: Callable[[str], Iterable[Problem]], methods: Methods, places: Mapping[str, str]
) -> Iterator[str]:
    """One line for each problem that `check` finds with a method, at the method's place.

    A problem that a variant inherits is reported for the method that it is like.
    """
    found = {name: [*check(name)] for name in methods}
    for name, place in places.items():
        inherited = found.get(methods[name].get("like", ""), [])
        for setting, problem in found[name]:
            if (setting, problem) not in inherited:
                yield shown(place, setting, problem)


def _ancestors(methods: Methods, name: str) -> list[str]:
    """The method, the one it is like, and so on, up to an unknown or repeated one."""
    line = [name]
    while (like := methods[line[-1]].get("like")) in methods and like not in line:
        line.append(str(like))
    return line


def _preset(name: str) -> dict[str, Any]:
    """All settings of a learned method under this preset, as plain values."""
    if name in ELSA_PRESETS:
        return dict(ELSA_PRESETS[name])
    settings = asdict(Settings(sparsity=0.5, **PRESETS[name]))
    return {
        key: list(value) if isinstance(value, tuple) else value
        for key, value in settings.items()
        if value is not None and key not in _OF_THE_CELL
    }
