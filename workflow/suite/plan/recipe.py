"""A cell's recipe: what a result is made from, as plain values, and how two of them differ."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

_FINGERPRINT = re.compile(r"[0-9a-f]{32,}")
_ABSENT = object()


def differences(recorded: Mapping[str, Any], wanted: Mapping[str, Any]) -> list[str]:
    """What differs between two recipes, one text a value, by dotted key in alphabetical order.

    Such as "masks.method.budget was 'row', now 'layer'". Fingerprints are shortened to 8 digits.
    """
    before, now = dict(_flat(recorded)), dict(_flat(wanted))
    return [
        f"{key} was {_shown(before.get(key, _ABSENT))}, now {_shown(now.get(key, _ABSENT))}"
        for key in sorted(before.keys() | now.keys())
        if before.get(key, _ABSENT) != now.get(key, _ABSENT)
    ]


def _flat(values: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in values.items():
        if isinstance(value, Mapping) and value:
            yield from _flat(value, f"{above}{name}.")
        else:
            yield f"{above}{name}", value


def _shown(value: Any) -> str:
    if value is _ABSENT:
        return "not there"
    if isinstance(value, str) and _FINGERPRINT.fullmatch(value):
        return value[:8]
    return repr(value)
