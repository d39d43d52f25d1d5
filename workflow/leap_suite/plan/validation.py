"""Strict YAML, and validation by JSON Schema with messages that name the setting and the fix.

The messages are our own: jsonschema's give no similar key, repeat one mistake for every branch of a
schema, and describe the schema, not what to write.
"""

import difflib
import itertools
import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml
from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError

# as YAML's users call the types
_KINDS = {"array": "a list", "boolean": "true or false", "integer": "a whole number",
          "null": "null", "number": "a number", "object": "a mapping",
          "string": "text"}  # fmt: skip

Problem = tuple[str, str]  # a setting, relative to the validated value, and what is wrong


class ConfigError(ValueError):
    """Invalid settings; the message has one line per mistake, with the key and the fix."""


def refuse(*problems: Iterable[str]) -> None:
    """Raise ConfigError if there are problems, with one line for each."""
    if lines := dict.fromkeys(itertools.chain(*problems)):
        raise ConfigError("\n".join(lines))


def schema_problems(value: Any, schema: Mapping[str, Any], prefix: str) -> Iterator[str]:
    """One line for each mistake that `schema` finds in `value`, with its key below `prefix`."""
    for setting, problem in schema_findings(value, schema):
        yield shown(prefix, setting, problem)


def schema_findings(value: Any, schema: Mapping[str, Any]) -> Iterator[Problem]:
    """Distinct mistakes that `schema` finds in `value`."""
    errors = Draft202012Validator(schema).iter_errors(value)
    # of one value, errors of the whole come before errors of a branch of the schema
    in_order = sorted(errors, key=lambda e: (_place(e), len(e.absolute_schema_path)))
    for place, group in itertools.groupby(in_order, key=_place):
        for problem in _mistakes([*group]):
            yield ".".join(place), problem


def shown(place: str, setting: str, problem: str) -> str:
    """The message of a problem with a setting below `place`."""
    return f"{'.'.join(filter(None, [place, setting])) or 'config'}: {problem}"


def _place(error: ValidationError) -> list[str]:
    """Keys that lead to the error, which may concern the last key itself."""
    keys = [str(key) for key in error.absolute_path]
    return [*keys, str(error.instance)] if "propertyNames" in error.absolute_schema_path else keys


def _mistakes(errors: list[ValidationError]) -> Iterator[str]:
    """One line per mistake, from all errors of one value.

    Beside an unknown key, the missing key that was meant and other errors, which may follow from
    it, are left out.
    """
    unknown = [error for error in errors if _is_unknown_key(error)]
    others = [error for error in errors if not _is_unknown_key(error)]
    meant = set()
    for error in unknown[:1]:
        known = sorted(error.schema.get("properties", {}))
        for key in sorted(str(key) for key in error.instance if key not in known):
            yield f"there is no setting {unknown_name(key, known)}"
            meant.add(_nearest(key, known))
    for error in others[:1]:
        if error.validator == "required":
            missing = [key for key in error.validator_value if key not in {*error.instance, *meant}]
            if missing:
                yield f"{', '.join(missing)} must be set"
        elif not unknown:
            yield _explain(error)


def _is_unknown_key(error: ValidationError) -> bool:
    return error.validator == "additionalProperties" and error.validator_value is False


def _explain(error: ValidationError) -> str:
    """An error as a message that says what to write instead."""
    described = error.schema.get("description", "") if isinstance(error.schema, Mapping) else ""
    meaning = f" ({described})" if described else ""
    value, wanted = json.dumps(error.instance, default=str), error.validator_value
    match error.validator:
        case "type":
            kinds = [wanted] if isinstance(wanted, str) else wanted
            return f"{value} is not {' or '.join(_KINDS[kind] for kind in kinds)}{meaning}"
        case "enum":
            choices = [item if isinstance(item, str) else json.dumps(item) for item in wanted]
            return f"{value} is not one of {', '.join(choices)}{meaning}"
        case "uniqueItems":
            twice = sorted({str(item) for item in error.instance if error.instance.count(item) > 1})
            return f"{', '.join(twice)} is listed twice; list it once"
        case "exclusiveMinimum" | "exclusiveMaximum":
            side = "above" if error.validator == "exclusiveMinimum" else "below"
            return f"{value} is out of range: it must be {side} {wanted}{meaning}"
        case "not":
            return f"{value} cannot be used{meaning}"
        case "oneOf" if all(branch.keys() == {"required"} for branch in wanted):
            choices = [", ".join(branch["required"]) for branch in wanted]
            return f"set either {', or '.join(choices)}"
        case "oneOf":
            return f"{value} is incomplete{meaning}"
    # which writes the value as Python does
    return f"{error.message.replace(repr(error.instance), value, 1)}{meaning}"


def unknown_name(name: str, known: Iterable[str], others: Iterable[str] = ()) -> str:
    """An unknown name with a similar known one, or with all `known` ones.

    A similar one may also be among `others`, which are too many to list.
    """
    known = list(known)
    near = _nearest(name, [*known, *others])
    hint = f"did you mean {near!r}?" if near else f"known: {', '.join(known)}"
    return f"{name!r} ({hint})"


def _nearest(name: str, known: Iterable[str]) -> str | None:
    return next(iter(difflib.get_close_matches(name, list(known), n=1)), None)


# libyaml's fast loader where PyYAML has it: planning and every cluster job read some fifty files
_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _UniqueKeys(_Loader):
    """YAML loader that refuses duplicate keys, of which YAML silently keeps the last."""


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
    """Mapping in a YAML file. Raises ConfigError for invalid YAML and duplicate keys."""
    try:
        with open(path) as file:
            return yaml.load(file, Loader=_UniqueKeys)
    except yaml.YAMLError as error:
        raise ConfigError(f"{path} is not valid YAML: {error}") from error
