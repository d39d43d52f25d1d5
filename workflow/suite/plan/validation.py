"""Reading YAML strictly, and what a schema finds wrong in words that name the fix."""

import difflib
import itertools
import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml
from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError

WORKFLOW = Path(__file__).parents[2]
SCHEMAS = WORKFLOW / "schemas"

Problem = tuple[str, str]  # the setting, below what is looked at, and what is wrong with it


class ConfigError(ValueError):
    """A setting that cannot be used; the message names its key and the fix."""


def refuse(*problems: Iterable[str]) -> None:
    """Raise ConfigError with the problems that there are, one line each."""
    if lines := dict.fromkeys(itertools.chain(*problems)):
        raise ConfigError("\n".join(lines))


def schema_problems(value: Any, schema: Mapping[str, Any], prefix: str) -> Iterator[str]:
    """One line for each mistake that `schema` finds in `value`, with its key below `prefix`."""
    for setting, problem in schema_findings(value, schema):
        yield shown(prefix, setting, problem)


def schema_findings(value: Any, schema: Mapping[str, Any]) -> Iterator[Problem]:
    """What `schema` finds wrong in `value`, each mistake once."""
    errors = Draft202012Validator(schema).iter_errors(value)
    # of one value, what is wrong with the whole comes before what a branch of the schema asks for
    in_order = sorted(errors, key=lambda e: (_place(e), len(e.absolute_schema_path)))
    for place, group in itertools.groupby(in_order, key=_place):
        for problem in _mistakes([*group]):
            yield ".".join(place), problem


def shown(place: str, setting: str, problem: str) -> str:
    """A problem of a setting below `place` as it is shown."""
    return f"{'.'.join(filter(None, [place, setting])) or 'config'}: {problem}"


def _place(error: ValidationError) -> list[str]:
    """The keys that lead to what is wrong, which may be a key itself."""
    keys = [str(key) for key in error.absolute_path]
    return [*keys, str(error.instance)] if "propertyNames" in error.absolute_schema_path else keys


def _mistakes(errors: list[ValidationError]) -> Iterator[str]:
    """One line a mistake, out of all errors of one value.

    Every unknown key is one. That the key is missing which it was to be is none beside it, and what
    else is wrong with the value may follow from the first.
    """
    unknown = next((error for error in errors if _is_unknown_key(error)), None)
    other = next((error for error in errors if not _is_unknown_key(error)), None)
    meant = set()
    if unknown is not None:
        known = sorted(unknown.schema.get("properties", {}))
        for key in sorted(str(key) for key in unknown.instance if key not in known):
            yield f"there is no setting {unknown_name(key, known)}"
            meant.add(_nearest(key, known))
    if other is not None and other.validator == "required":
        missing = [key for key in other.validator_value if key not in {*other.instance, *meant}]
        if missing:
            yield f"{', '.join(missing)} must be set"
    elif other is not None and unknown is None:
        yield _explain(other)


def _is_unknown_key(error: ValidationError) -> bool:
    return error.validator == "additionalProperties" and error.validator_value is False


def _explain(error: ValidationError) -> str:
    """The schema's complaint in words that name what to write instead."""
    described = error.schema.get("description", "") if isinstance(error.schema, Mapping) else ""
    meaning = f" ({described})" if described else ""
    value = json.dumps(error.instance, default=str)
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


def unknown_name(name: str, known: Iterable[str], others: Iterable[str] = ()) -> str:
    """A name that there is no such thing of, with the one that may have been meant.

    That may be one of the `others` too, which are too many to be listed.
    """
    known = list(known)
    near = _nearest(name, [*known, *others])
    hint = f"did you mean {near!r}?" if near else f"known: {', '.join(known)}"
    return f"{name!r} ({hint})"


def _nearest(name: str, known: Iterable[str]) -> str | None:
    return next(iter(difflib.get_close_matches(name, list(known), n=1)), None)


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
