"""The settings of a run: scale file < config.yaml < --configfile and --config, validated."""

import difflib
import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml
from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError

from suite.plan import variants
from suite.plan.grid import can_have, pattern_of

WORKFLOW = Path(__file__).parents[2]
SCALES = WORKFLOW / "scales"
SCHEMAS = WORKFLOW / "schemas"
METHOD_SCHEMAS = SCHEMAS / "methods"
MINIATURES = WORKFLOW / "suite" / "miniature" / "checkpoints"

# Settings that name what a `revision` beside them is of.
_REPOSITORIES = ("hub", "dataset", "id")


class ConfigError(ValueError):
    """A setting that cannot be used; the message names its key and the fix."""


def load(overrides: Mapping[str, Any]) -> dict[str, Any]:
    """Merge `overrides` over the scale that they name, and validate the result.

    Raises ConfigError with one line a problem.
    """
    scale = overrides.get("scale")
    known = sorted(file.stem for file in SCALES.glob("*.yaml"))
    if scale not in known:
        raise ConfigError(f"scale: there is no {_unknown(str(scale), known)}")
    schema = _read_yaml(SCHEMAS / "config.schema.yaml")
    settings = typed(merge(_read_yaml(SCALES / f"{scale}.yaml"), overrides), schema, schema)
    problems = [*_schema_problems(settings, schema, "")]
    if not problems:
        settings["methods"] = variants.with_studies(settings)
        problems = [*variants.problems(settings["methods"])]
    if not problems:
        settings["methods"], settings["implementations"] = variants.resolve(settings["methods"])
        problems = [*_method_problems(settings), *_model_problems(settings)]
        problems += [*_place_problems(settings), *_revision_problems(settings)]
    if not problems:
        problems = [*_training_problems(settings), *_pattern_problems(settings)]
    if problems:
        raise ConfigError("\n".join(["the configuration cannot be used:", *problems]))
    return settings


def merge(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """`above` laid over `below`: mappings are merged key by key, anything else is replaced."""
    merged = dict(below)
    if any(key in below and above.get(key, below[key]) != below[key] for key in _REPOSITORIES):
        merged.pop("revision", None)  # which is a commit of the other repository
    for key, value in above.items():
        lower = merged.get(key)
        if not (isinstance(lower, Mapping) and isinstance(value, Mapping)):
            merged[key] = value
        elif key in ("source", "text") and not set(lower) & set(value):
            merged[key] = dict(value)  # of another kind than the one below, which it replaces
        else:
            merged[key] = merge(lower, value)
    return merged


def typed(value: Any, schema: Mapping[str, Any], root: Mapping[str, Any]) -> Any:
    """`value` with the numbers and booleans that the schema asks for.

    Snakemake hands on what is nested in --config as text: {sparsities: [0.5]} arrives as ["0.5"].
    Text that is no such number stays as it is, for the validation to name.
    """
    if "$ref" in schema:
        schema = {**root["$defs"][schema["$ref"].rsplit("/", 1)[1]], **schema}
    if isinstance(value, Mapping):
        fields, other = schema.get("properties", {}), schema.get("additionalProperties")
        default = other if isinstance(other, Mapping) else {}
        return {key: typed(item, fields.get(key, default), root) for key, item in value.items()}
    if isinstance(value, list):
        return [typed(item, schema.get("items", {}), root) for item in value]
    if isinstance(value, str) and schema.get("type") in ("number", "integer", "boolean"):
        parsed = yaml.safe_load(value)
        return parsed if isinstance(parsed, int | float) else value
    return value


def known_methods() -> list[str]:
    """Methods are known by their schema files."""
    return sorted(f.name.removesuffix(".schema.yaml") for f in METHOD_SCHEMAS.glob("*.yaml"))


def methods_that_are(keyword: str, settings: Mapping[str, Any]) -> set[str]:
    """Configured methods whose schema has this keyword.

    `stochastic`: results depend on the seed. `trained`: they learn on the training corpus.
    """
    return {
        name
        for name, implementation in settings["implementations"].items()
        if method_schema(implementation).get(keyword, False)
    }


def method_schema(name: str) -> dict[str, Any]:
    """The schema of a method; one that `extends` another has its settings as well."""
    schema = _read_yaml(METHOD_SCHEMAS / f"{name}.schema.yaml")
    if "extends" not in schema:
        return schema
    below = method_schema(schema.pop("extends"))
    return {
        **schema,
        "required": [*below["required"], *schema["required"]],
        "properties": {**below["properties"], **schema["properties"]},
    }


def _method_problems(settings: Mapping[str, Any]) -> Iterator[str]:
    known = known_methods()
    for name, implementation in settings["implementations"].items():
        if implementation not in known:
            yield f"methods.{name}: there is no method {_unknown(implementation, known)}"
            continue
        schema = method_schema(implementation)
        settings["methods"][name] = typed(settings["methods"][name], schema, schema)
        yield from _schema_problems(settings["methods"][name], schema, f"methods.{name}")
    for section in _grids(settings):
        for name in settings[section]["methods"]:
            if name not in settings["methods"]:
                hint = "" if name in known else f": there is no method {_unknown(name, known)}"
                hint = hint or f": give its settings under methods.{name}"
                yield f"{section}.methods: {name!r} has no settings{hint}"


def _grids(settings: Mapping[str, Any]) -> list[str]:
    """The sections that name the models and methods of cells."""
    return [section for section in ("grid", "sweep", "patterns") if section in settings]


def _model_problems(settings: Mapping[str, Any]) -> Iterator[str]:
    defined = sorted(settings["models"])
    for study in variants.STUDIES:
        for name in settings.get(study, {}).get("models", []):
            if name not in defined:
                yield f"{study}.models: there is no model {_unknown(name, defined)} under models"
    miniatures = sorted(file.parent.name for file in MINIATURES.glob("*/config.json"))
    for section in _grids(settings):
        for name in settings[section]["models"]:
            if name not in defined:
                yield f"{section}.models: there is no model {_unknown(name, defined)} under models"
    for name, model in settings["models"].items():
        miniature = model["source"].get("miniature")
        if miniature is not None and miniature not in miniatures:
            yield (
                f"models.{name}.source.miniature: there is no miniature "
                f"{_unknown(miniature, miniatures)}"
            )
        path = model["source"].get("path")
        if path is not None and not (Path(path) / "config.json").is_file():
            yield (
                f"models.{name}.source.path: {path} holds no checkpoint (config.json is missing); "
                "give a folder in Hugging Face layout"
            )


def _place_problems(settings: Mapping[str, Any]) -> Iterator[str]:
    mirror = settings["hub_mirror"]
    if mirror and not Path(mirror).is_dir():
        yield f'hub_mirror: there is no folder {mirror}; give an existing one, or "" for the hub'
    sequences = settings["corpora"]["calibration"]["sequences"]
    if sequences < 1:
        yield "corpora.calibration.sequences: must be at least 1"


def _revision_problems(settings: Mapping[str, Any]) -> Iterator[str]:
    """Results name one revision of every data set that tasks read."""
    first: dict[str, Any] = {}
    for column, task in settings["evaluation"]["tasks"].items():
        if first.setdefault(task["dataset"], task.get("revision")) != task.get("revision"):
            yield (
                f"evaluation.tasks.{column}.revision: {task['dataset']} has another revision in "
                "another task; set one for both"
            )


def _training_problems(settings: Mapping[str, Any]) -> Iterator[str]:
    """What methods that are trained need: a corpus, and the one-shot mask they start from."""
    methods = settings["methods"]
    trained = methods_that_are("trained", settings)
    for name in sorted(trained):
        run = any(name in settings[section]["methods"] for section in _grids(settings))
        if run and "training" not in settings["corpora"]:
            yield f"corpora.training: must be set, since {name} is trained on it"
        start = methods[name].get("warm_start", "random")
        if start != "random" and (start not in methods or start in trained):
            yield (
                f"methods.{name}.warm_start: {start!r} is neither random nor one of the "
                "layer-wise methods that have settings under methods"
            )


def _pattern_problems(settings: Mapping[str, Any]) -> Iterator[str]:
    """One-shot masks of another pattern than is needed, and sparsities that cannot be had."""
    methods = settings["methods"]
    for name, values in methods.items():
        if "pattern" not in values:
            continue
        needed = {"warm_start": values["pattern"]}
        if "tile" in values:
            needed = {"warm_start": "", "sparse_masks": values["pattern"]}
        for setting, wanted in needed.items():
            start = values[setting]
            if start != "random" and pattern_of(methods.get(start, {})) != wanted:
                budget = f'with budget "{wanted}"' if wanted else "without an N:M budget"
                yield f"methods.{name}.{setting}: must be random or a method {budget}, not {start}"
        if values.get("mode") == "tile" and values["sparse_masks"] == "random":
            yield f"methods.{name}.sparse_masks: mode tile needs masks; name a method, or use joint"
    for name, sparsities in settings.get("patterns", {}).get("methods", {}).items():
        for sparsity in sparsities:
            if not can_have(methods[name], sparsity):
                pattern = pattern_of(methods[name])
                yield f"patterns.methods.{name}: {sparsity} cannot be had with pattern {pattern}"


def _schema_problems(value: Any, schema: Mapping[str, Any], prefix: str) -> Iterator[str]:
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
        return "; ".join(f"there is no setting {_unknown(key, known)}" for key in unknown)
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
    if error.validator == "oneOf":
        return f"{value} is incomplete{meaning}"
    return f"{error.message}{meaning}"


def _unknown(name: str, known: Iterable[str]) -> str:
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


def _read_yaml(path: Path) -> dict[str, Any]:
    try:
        with open(path) as file:
            return yaml.load(file, Loader=_UniqueKeys)
    except yaml.YAMLError as error:
        raise ConfigError(f"{path} is not valid YAML: {error}") from error
