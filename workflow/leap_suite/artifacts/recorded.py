"""Comparison of recipes in files with the recipes of a run (see `leap_suite.plan.recipe`)."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

_SHOWN = 3  # differences, in a message


def check(path: str | Path, recorded: Mapping[str, Any], wanted: Mapping[str, Any]) -> None:
    """Raise ValueError, naming the file, where its recorded recipe differs from the wanted one."""
    others = differences(recorded, wanted)
    if others:
        raise ValueError(
            f"{path} was made with other settings or code than this run's: {summary(others)}. "
            "Delete it and run again, or give this run a name of its own: run=NAME"
        )


def summary(others: list[str]) -> str:
    """First differences in one line."""
    more = f"; and {len(others) - _SHOWN} more" if len(others) > _SHOWN else ""
    return "; ".join(others[:_SHOWN]) + more


def differences(recorded: Mapping[str, Any], wanted: Mapping[str, Any]) -> list[str]:
    """One line per differing value, by dotted key: settings first, then code."""
    old, new = dict(_flat(recorded)), dict(_flat(wanted))
    keys = [key for key in sorted(old | new) if old.get(key) != new.get(key)]
    keys.sort(key=lambda key: key.endswith("code"))
    return [f"{key} was {_shown(old, key)}, now {_shown(new, key)}" for key in keys]


def _flat(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in values.items():
        if isinstance(value, Mapping) and value:
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", list(value) if isinstance(value, tuple) else value


def _shown(values: Mapping[str, Any], key: str) -> str:
    if key not in values:
        return "not there"
    value = values[key]
    if isinstance(value, str):
        return value[:8] if key.endswith("code") else f"'{value}'"
    return json.dumps(value, default=str)
