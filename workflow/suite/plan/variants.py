"""Methods by name: variants of another method, and named presets.

Under `methods`, `like: leap` takes the settings of leap and changes some of them; `preset: paper`
starts from a named set of settings. Both are resolved here, so that rules see plain settings.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict
from typing import Any

from leap.settings import PRESETS, Settings
from suite.plan.validation import Problem, shown, unknown_name

# What a cell of the grid decides, not its method's settings.
_OF_THE_CELL = ("sparsity", "seed")


def resolve(
    methods: Mapping[str, Mapping[str, Any]],
) -> tuple[dict[str, dict[str, Any]], dict[str, str]]:
    """Complete settings by method name, and the name of the method that each one is a variant of.

    Call `problems` first.
    """
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


def problems(methods: Mapping[str, Mapping[str, Any]], places: Mapping[str, str]) -> Iterator[str]:
    """What is wrong with `like` and `preset`, one line each, by the places of methods."""
    for name, place in places.items():
        own, ancestors = methods[name], _ancestors(methods, name)
        like = own.get("like")
        if like is not None and like not in methods:
            named = unknown_name(like, sorted(methods))
            yield f"{place}.like: there is no method {named} under methods"
        # of those in a circle, the first
        if methods[ancestors[-1]].get("like") == name == min(ancestors):
            yield f"{place}.like: leads back to itself; name another method"
        if own.get("preset", "default") not in PRESETS:
            yield f"{place}.preset: there is no preset {unknown_name(own['preset'], PRESETS)}"


def once(
    check: Callable[[str], Iterable[Problem]],
    methods: Mapping[str, Mapping[str, Any]],
    places: Mapping[str, str],
) -> Iterator[str]:
    """One line for each problem that `check` finds with a method, at the place where it is written.

    What a variant shares with the method that it is like is written there.
    """
    found = {name: [*check(name)] for name in methods}
    for name, place in places.items():
        inherited = found.get(methods[name].get("like", ""), [])
        for setting, problem in found[name]:
            if (setting, problem) not in inherited:
                yield shown(place, setting, problem)


def _ancestors(methods: Mapping[str, Mapping[str, Any]], name: str) -> list[str]:
    """The method, what it is like, what that is like, as far as it goes without repeating."""
    line = [name]
    like = methods[name].get("like")
    while like is not None and like in methods and like not in line:
        line.append(like)
        like = methods[like].get("like")
    return line


def _preset(name: str) -> dict[str, Any]:
    """All settings of the trainer that have a value under this preset, as plain values."""
    settings = asdict(Settings(sparsity=0.5, **PRESETS[name]))
    plain = {key: list(v) if isinstance(v, tuple) else v for key, v in settings.items()}
    given = {key: value for key, value in plain.items() if value is not None}
    return {key: value for key, value in given.items() if key not in _OF_THE_CELL}
