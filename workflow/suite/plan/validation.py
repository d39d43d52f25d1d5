"""Reading YAML strictly, and what a schema finds wrong in words that name the fix."""

import difflib
import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml
from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError

WORKFLOW = Path(__file__).parents[2]
SCHEMAS = WORKFLOW / "schemas"


class ConfigError(ValueError):
    """A setting that cannot be used; the message names its key and the fix."""


def schema_problems(value: Any, schema: Mapping[str, Any], prefix: str) -> Iterator[str]:
    """One line for each thing that `schema` finds wrong in `value`, with its key below `prefix`."""
    errors = Draft202012Validator(schema).iter_errors(value)
    for error in sorted(errors, key=lambda e: [str(part) for part in e.absolute_path]):
        key = ".".join([*([prefix] if prefix else []), *map(str, error.absolute_path)])
        yield f"{key or 'config'}: {_explain(error)}"


def _explain(error: ValidationError) -> str:
    """The schema's complaint in words that name what to write instead."""
    described = error.schema.get("description", "") if isinstance(error.schema, Mapping) else ""
    meaning = f" ({described})" if described else ""
    value = json.dumps(error.instance, default=str)
    if error.validator == "additionalProperties" and error.validator_value is False:
        known = sorted(error.schema.get("properties", {}))
        unknown = sorted(set(error.instance) - set(known))
        return "; ".join(f"there is no setting {unknown_name(key, known)}" for key in unknown)
    if error.validator == "required":
        missing = [key for key in error.validator_value if key not in error.instance]
        return f"{', '.join(missing)} must be set"
    if error.validator == "enum":
        return f"{value} is not one of {', '.join(map(str, error.validator_value))}{meaning}"
    if error.validator == "uniqueItems":
        twice = sorted({str(item) for item in error.instance if error.instance.count(item) > 1})
        return f"{', '.join(twice)} is listed twice; list it once"
    if error.validator in ("exclusiveMinimum", "exclusiveMaximum"):
        side = "above" if error.validator == "exclusiveMinimum" else "below"
        return f"{value} is out of range: it must be {side} {error.validator_value}{meaning}"
    if error.validator == "not":
        return f"{value} cannot be used{meaning}"
    if error.validator == "oneOf":
        return f"{value} is incomplete{meaning}"
    return f"{error.message}{meaning}"


def unknown_name(name: str, known: Iterable[str]) -> str:
    """A name that there is no such thing of, with the one that may have been meant."""
    known = list(known)
    close = difflib.get_close_matches(name, known, n=1)
    hint = f"did you mean {close[0]!r}?" if close else f"known: {', '.join(known)}"
    return f"{name!r} ({hint})"


# libyaml's loader where PyYAML has it: planning and every cluster job read some fifty files
_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _UniqueKeys(_Loader):
    """Refuses a key that is written twice, of which YAML would silently keep the last."""


def _mapping(loader: Any, node: yaml.MappingNode) -> dict[Any, Any]:
    keys = [key.value for key, _ in node.value if key.value != "<<"]
    twice = sorted({key for key in keys if keys.count(key) > 1})
    if twice:
        raise ConfigError(
            f"{node.start_mark.name}, line {node.start_mark.line + 1}: "
            f"{', '.join(twice)} is set twice; set it once"
        )
    loader.flatten_mapping(node)
    return loader.construct_mapping(node, deep=True)


_UniqueKeys.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _mapping)


def read_yaml(path: Path) -> dict[str, Any]:
    """A mapping from a file. Raises ConfigError where it is no YAML, or a key is set twice."""
    try:
        with open(path) as file:
            return yaml.load(file, Loader=_UniqueKeys)
    except yaml.YAMLError as error:
        raise ConfigError(f"{path} is not valid YAML: {error}") from error
