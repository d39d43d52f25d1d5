"""Settings of a run: scale file < config.yaml < --configfile and --config, validated.

A scale file has all settings, or those that differ from the scale that it `extends`.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import yaml

from leap_suite.places import PACKAGE, SCALES, SCHEMAS
from leap_suite.plan import (
    borrowing,
    calibration,
    searches,
    shares,
    studies,
    subject,
    tasks,
    tokens,
    variants,
    world,
)
from leap_suite.plan.methods import method_schema, module_problems
from leap_suite.plan.validation import (
    ConfigError,
    Problem,
    read_yaml,
    refuse,
    schema_findings,
    schema_problems,
    unknown_name,
)

MINIATURES = PACKAGE / "miniature" / "checkpoints"

# settings that a `revision` beside them belongs to
_REPOSITORIES = ("hub", "dataset", "id")
# alternative keys, of which a setting has one
_ALTERNATIVES = {"source": {"hub", "path", "pypi", "miniature"}, "text": {"hub", "miniature"}}

_NOT_OF_RESULTS = ("hub_mirror", "jobs_per_gpu", "tracking", "warm_worker",
                   "replace", "strict", "execution", "implementations", "studies")  # fmt: skip


def load(overrides: Mapping[str, Any]) -> dict[str, Any]:
    """Merge `overrides` over the scale that they name, and validate the result.

    Raises ConfigError with one line per mistake. Later checks rely on earlier ones.
    """
    scale, schema = overrides.get("scale"), read_yaml(SCHEMAS / "config.schema.yaml")
    merged = merge(scale_settings(scale), {"run": scale, **overrides})
    settings = typed(merged, schema, schema)
    refuse(schema_problems(settings, schema, ""))
    refuse(studies.problems(settings), _source_problems(settings))
    places, written = studies.places(settings), studies.with_variants(settings)
    refuse(variants.problems(written, places))
    settings["methods"], settings["implementations"] = variants.resolve(written)
    refuse(subject.problems(settings), tokens.problems(settings), tasks.problems(settings))
    refuse(world.problems(settings))
    refuse(module_problems(settings))
    schemas = {name: method_schema(kind) for name, kind in settings["implementations"].items()}
    for name, values in settings["methods"].items():
        settings["methods"][name] = typed(values, schemas[name], schemas[name])

    def once(check: Callable[[Mapping[str, Any], str], Iterable[Problem]]) -> Iterator[str]:
        return variants.once(partial(check, settings), written, places)

    refuse(once(lambda every, name: schema_findings(every["methods"][name], schemas[name])))
    refuse(studies.training_problems(settings), once(borrowing.lender_problems))
    # those of studies are checked when their study is run
    sizes = {
        name: f"{place}.calibration.sequences"
        for name, place in places.items()
        if "calibration" in written[name] and place == f"methods.{name}"
    }
    refuse(
        calibration.problems(settings, sizes),
        once(borrowing.allocation_problems),
        once(shares.problems),
        studies.pattern_problems(settings),
        searches.problems(settings),
    )
    shares.expand(settings)
    return settings


def scale_settings(scale: object, named_by: str = "scale") -> dict[str, Any]:
    """Settings of a scale file, merged over the scale that it extends, if any.

    Raises ConfigError for an unknown scale, with the setting that names it.
    """
    known = sorted(file.stem for file in SCALES.glob("*.yaml"))
    if scale not in known:
        raise ConfigError(f"{named_by}: there is no {unknown_name(str(scale), known)}")
    settings = read_yaml(SCALES / f"{scale}.yaml")
    if "extends" not in settings:
        return settings
    return merge(scale_settings(settings.pop("extends"), f"{scale}.yaml, extends"), settings)


def merge(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Merge `above` over `below`: mappings key by key, anything else is replaced.

    null removes a mapping. Another repository drops the `revision`, another kind of source or text
    replaces the whole mapping, and another task keeps only `limit`.
    """
    merged = dict(below)
    if above.get("task", below.get("task")) != below.get("task"):
        merged = {key: value for key, value in below.items() if key in ("task", "limit")}
    if any(key in below and above.get(key, below[key]) != below[key] for key in _REPOSITORIES):
        merged.pop("revision", None)
    for key, value in above.items():
        lower = merged.get(key)
        if isinstance(lower, Mapping) and value in (None, "null"):  # text in --config
            del merged[key]
        elif not (isinstance(lower, Mapping) and isinstance(value, Mapping)):
            merged[key] = value
        elif (kind := set(value) & _ALTERNATIVES.get(key, set())) and not kind & set(lower):
            merged[key] = dict(value)
        else:
            merged[key] = merge(lower, value)
    return merged


def typed(value: Any, schema: Mapping[str, Any], root: Mapping[str, Any]) -> Any:
    """`value` with text converted to the numbers and booleans of the schema, where it is valid.

    Snakemake passes nested values of --config as text: {sparsities: [0.5]} arrives as ["0.5"].
    """
    if "$ref" in schema:
        schema = {**root["$defs"][schema["$ref"].rsplit("/", 1)[1]], **schema}
    if isinstance(value, Mapping):
        fields, other = schema.get("properties", {}), schema.get("additionalProperties")
        default = other if isinstance(other, Mapping) else {}
        return {key: typed(item, fields.get(key, default), root) for key, item in value.items()}
    if isinstance(value, list):
        return [typed(item, schema.get("items", {}), root) for item in value]
    kinds = schema.get("type")
    kinds = kinds if isinstance(kinds, list) else [kinds]
    if isinstance(value, str) and {"number", "integer", "boolean"} & set(kinds):
        parsed = yaml.safe_load(value)
        return parsed if isinstance(parsed, int | float) else value
    return value


def shown_settings(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings that affect the grid's results, for the report."""
    return {key: value for key, value in settings.items() if key not in _NOT_OF_RESULTS}


def _source_problems(settings: Mapping[str, Any]) -> Iterator[str]:
    """Models, and a mirror, that do not exist."""
    miniatures = sorted(file.parent.name for file in MINIATURES.glob("*/config.json"))
    for name, model in settings["models"].items():
        place, source = f"models.{name}.source", model["source"]
        if source.get("miniature", miniatures[0]) not in miniatures:
            named = unknown_name(source["miniature"], miniatures)
            yield f"{place}.miniature: there is no miniature {named}"
        if "path" in source and not Path(source["path"], "config.json").is_file():
            yield (
                f"{place}.path: {source['path']} holds no checkpoint (config.json is missing); "
                "give a folder in Hugging Face layout"
            )
    mirror = settings["hub_mirror"]
    if mirror and not Path(mirror).is_dir():
        yield f'hub_mirror: there is no folder {mirror}; give an existing one, or "" for the hub'
