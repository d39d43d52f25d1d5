"""Tables of all settings for the documentation, from the JSON Schemas that validate them."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from leap_suite.places import SCHEMAS
from leap_suite.plan.config import load
from leap_suite.plan.methods import method_schema
from leap_suite.plan.validation import read_yaml
from leap_suite.tables.entries import table

_HEADINGS = ["setting", "type", "required", "default", "what it is"]
_MISSING = object()


def settings(section: str = "") -> list[str]:
    """Settings of a run with their types; of one section, or those that have no settings below."""
    schema = read_yaml(SCHEMAS / "config.schema.yaml")
    if section:
        below = schema["$defs"].get(section) or schema["properties"][section]
        rows = _rows(below, schema, "")
    else:
        rows = _rows(schema, schema, "", deep=False)
    return table(_HEADINGS, list(rows), "lllll")


def method_settings(method: str) -> list[str]:
    """Settings of a method, with the values of scale `mini` as examples."""
    schema = method_schema(method)
    known = load({"scale": "mini", "hub_mirror": ""})["methods"].get(method, {})
    headings = ["setting", "type", "in `mini`", "what it is"]
    rows = [
        [f"`{name}`", _type(each), _value(known.get(name, _MISSING)), _about(each)]
        for name, each in schema.get("properties", {}).items()
    ]
    return table(headings, rows, "llll")


def _rows(
    schema: Mapping[str, Any], root: Mapping[str, Any], prefix: str, deep: bool = True
) -> Iterator[list[str]]:
    for name, given in schema["properties"].items():
        each, key = _resolved(given, root), f"{prefix}{name}"
        required = "yes" if name in schema.get("required", ()) else ""
        default = _value(each.get("default", _MISSING))
        yield [f"`{key}`", _type(each), required, default, _about(each)]
        if deep and "properties" in each:
            yield from _rows(each, root, f"{key}.")


def _resolved(schema: Mapping[str, Any], root: Mapping[str, Any]) -> Mapping[str, Any]:
    """With what `$ref` names below its own keys."""
    if "$ref" not in schema:
        return schema
    return {**root["$defs"][schema["$ref"].rpartition("/")[2]], **schema}


def _type(schema: Mapping[str, Any]) -> str:
    if "enum" in schema:
        return " or ".join(f"`{_plain(value)}`" for value in schema["enum"])
    kinds = schema.get("type", "object")
    kinds = [kinds] if isinstance(kinds, str) else kinds
    return " or ".join({"object": "mapping", "array": "list"}.get(k, k) for k in kinds)


def _value(value: Any) -> str:
    return "" if value is _MISSING else f"`{_plain(value)}`"


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _about(schema: Mapping[str, Any]) -> str:
    return str(schema.get("description", "")).replace("|", "\\|").replace("<", "&lt;")
