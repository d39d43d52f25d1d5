"""The settings of a run: scale file < config.yaml < --configfile and --config, validated.

A scale's file says everything, or lies over that of another scale, which it `extends`.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

import yaml

from suite.plan import calibration, studies, subject, tasks, tokens, variants, world
from suite.plan.cell import Cell
from suite.plan.methods import (
    FREE,
    TakenMasks,
    can_have,
    known_methods,
    lent_by,
    masks_taken,
    method_schema,
    methods_that_are,
    pattern_of,
    written_pattern,
)
from suite.plan.validation import (
    SCHEMAS,
    WORKFLOW,
    ConfigError,
    Problem,
    read_yaml,
    refuse,
    schema_findings,
    schema_problems,
    unknown_name,
)

SCALES = WORKFLOW / "scales"
MINIATURES = WORKFLOW / "suite" / "miniature" / "checkpoints"

# What stood at the top before all studies had the section `studies`.
_ONCE_SECTIONS = (
    *("patterns", "sweep", "allocation", "opponents", "tokens", "ablations"),
    *(f"{method}_search" for method in ("leap", "elsa", "admm", "alps", "reconstruct")),
)

# Settings that name what a `revision` beside them is of.
_REPOSITORIES = ("hub", "dataset", "id")
# the keys that say of which kind these settings are
_KINDS = {"source": {"hub", "path", "pypi", "miniature"}, "text": {"hub", "miniature"}}


def load(overrides: Mapping[str, Any]) -> dict[str, Any]:
    """Merge `overrides` over the scale that they name, and validate the result.

    Raises ConfigError with one line a mistake. What is looked at later takes for granted what was
    looked at before.
    """
    scale = overrides.get("scale")
    below = scale_settings(scale)
    schema = read_yaml(SCHEMAS / "config.schema.yaml")
    settings = typed(merge(below, {"run": scale, **overrides}), schema, schema)
    moved = [name for name in _ONCE_SECTIONS if name in settings]
    refuse(f"{name}: belongs under studies now: studies.{name}" for name in moved)
    refuse(schema_problems(settings, schema, ""))
    refuse(studies.kind_problems(settings))
    refuse(_sparsity_problems(settings), studies.problems(settings))
    places, written = studies.places(settings), studies.with_variants(settings)
    refuse(variants.problems(written, places))
    settings["methods"], settings["implementations"] = variants.resolve(written)
    refuse(
        _name_problems(settings),
        subject.problems(settings),
        tokens.problems(settings),
        _model_problems(settings),
        _mirror_problems(settings),
        tasks.problems(settings),
    )
    refuse(world.problems(settings))
    settings["methods"] = _typed_methods(settings)

    def once(check: Callable[[Mapping[str, Any], str], Iterable[Problem]]) -> Iterator[str]:
        return variants.once(partial(check, settings), written, places)

    refuse(once(_setting_problems))
    refuse(_training_problems(settings), once(_lender_problems))
    calibrated = {name: place for name, place in places.items() if "calibration" in written[name]}
    sizes = {name: f"{place}.calibration.sequences" for name, place in calibrated.items()}
    refuse(
        calibration.problems(settings, sizes),
        once(_allocation_problems),
        _pattern_problems(settings),
    )
    return settings


def scale_settings(scale: object, named_by: str = "scale") -> dict[str, Any]:
    """What a scale's file says, laid over the scale that it extends, if any.

    Raises ConfigError for an unknown scale, with what names it.
    """
    known = sorted(file.stem for file in SCALES.glob("*.yaml"))
    if scale not in known:
        raise ConfigError(f"{named_by}: there is no {unknown_name(str(scale), known)}")
    settings = read_yaml(SCALES / f"{scale}.yaml")
    if "extends" not in settings:
        return settings
    below = scale_settings(settings.pop("extends"), f"{scale}.yaml, extends")
    return merge(below, settings)


def merge(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """`above` laid over `below`: mappings are merged key by key, anything else is replaced.

    null in the place of a mapping takes it away, and of another task only `limit` stays.
    """
    merged = dict(below)
    if above.get("task", below.get("task")) != below.get("task"):
        merged = {key: value for key, value in below.items() if key in ("task", "limit")}
    if any(key in below and above.get(key, below[key]) != below[key] for key in _REPOSITORIES):
        merged.pop("revision", None)  # which is a commit of the other repository
    for key, value in above.items():
        lower = merged.get(key)
        if isinstance(lower, Mapping) and value in (None, "null"):  # text in --config
            del merged[key]
        elif not (isinstance(lower, Mapping) and isinstance(value, Mapping)):
            merged[key] = value
        elif key in _KINDS and (kind := set(value) & _KINDS[key]) and not kind & set(lower):
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
    kinds = schema.get("type")
    kinds = kinds if isinstance(kinds, list) else [kinds]
    if isinstance(value, str) and {"number", "integer", "boolean"} & set(kinds):
        parsed = yaml.safe_load(value)
        return parsed if isinstance(parsed, int | float) else value
    return value


def _sparsity_problems(settings: Mapping[str, Any]) -> Iterator[str]:
    """Sparsities whose cells would lie in folders with names such as 1e-05, or with 17 digits."""
    for place, sparsity, _ in studies.sparsities(settings):
        if not re.fullmatch(r"0\.\d{1,6}", Cell.at("", "", sparsity).sparsity):
            yield (
                f"{place}: {sparsity} cannot be used: it names folders, so write 0.0001 or more, "
                "with at most six decimals"
            )


def _name_problems(settings: Mapping[str, Any]) -> Iterator[str]:
    """Methods that there are not, among those that have settings and those of grids."""
    known, implementations = known_methods(), settings["implementations"]
    usable = [name for name, implementation in implementations.items() if implementation in known]
    for name, implementation in implementations.items():
        if name == implementation and name not in known:
            yield f"methods.{name}: there is no method {unknown_name(name, known, usable)}"
    for place, values in studies.sections(settings).items():
        for name in values.get("methods", []):
            if name not in settings["methods"]:
                hint = f"there is no method {unknown_name(name, known, usable)}"
                hint = f"give its settings under methods.{name}" if name in known else hint
                yield f"{place}.methods: {name!r} has no settings: {hint}"


def _typed_methods(settings: Mapping[str, Any]) -> dict[str, Any]:
    schemas = {name: method_schema(kind) for name, kind in settings["implementations"].items()}
    return {
        name: typed(settings["methods"][name], schemas[name], schemas[name]) for name in schemas
    }


def _setting_problems(settings: Mapping[str, Any], name: str) -> Iterator[Problem]:
    schema = method_schema(settings["implementations"][name])
    return schema_findings(settings["methods"][name], schema)


def _model_problems(settings: Mapping[str, Any]) -> Iterator[str]:
    defined = sorted(settings["models"])
    for place, values in studies.sections(settings).items():
        for name in values["models"]:
            if name not in defined:
                named = unknown_name(name, defined)
                yield f"{place}.models: there is no model {named} under models"
    miniatures = sorted(file.parent.name for file in MINIATURES.glob("*/config.json"))
    for name, model in settings["models"].items():
        miniature = model["source"].get("miniature")
        if miniature is not None and miniature not in miniatures:
            yield (
                f"models.{name}.source.miniature: there is no miniature "
                f"{unknown_name(miniature, miniatures)}"
            )
        path = model["source"].get("path")
        if path is not None and not (Path(path) / "config.json").is_file():
            yield (
                f"models.{name}.source.path: {path} holds no checkpoint (config.json is missing); "
                "give a folder in Hugging Face layout"
            )


def shown_settings(settings: Mapping[str, Any]) -> dict[str, Any]:
    """What the report shows of the settings: all that has a say in the grid's results."""
    places = ("hub_mirror", "jobs_per_gpu", "tracking", "warm_worker", "replace",
              "strict", "execution")  # fmt: skip
    hidden = (*places, "implementations", "studies")
    return {key: value for key, value in settings.items() if key not in hidden}


def _mirror_problems(settings: Mapping[str, Any]) -> Iterator[str]:
    mirror = settings["hub_mirror"]
    if mirror and not Path(mirror).is_dir():
        yield f'hub_mirror: there is no folder {mirror}; give an existing one, or "" for the hub'


def _training_problems(settings: Mapping[str, Any]) -> Iterator[str]:
    """The corpus that methods which run are trained on."""
    trained = methods_that_are("trained", settings)
    listed = chain.from_iterable(map(studies.methods_in, studies.sections(settings).values()))
    run = lent_by(listed, settings) & trained
    if run and "training" not in settings["corpora"]:
        name = next(name for name in settings["methods"] if name in run)
        yield f"corpora.training: must be set, since {name} is trained on it"


def _lender_problems(settings: Mapping[str, Any], name: str) -> Iterator[Problem]:
    """Methods that cannot lend this one their masks or densities."""
    for setting, masks in masks_taken(
        settings["implementations"][name], settings["methods"][name]
    ).items():
        if problem := _lender_problem(settings, name, setting, masks):
            yield "allocation.from" if setting == "allocation" else setting, problem


def _lender_problem(settings: Mapping[str, Any], name: str, setting: str, masks: TakenMasks) -> str:
    """That there is no such method, that it takes masks itself, or has another pattern; or ""."""
    methods, trained = settings["methods"], methods_that_are("trained", settings)
    source, starts = masks.method, name in trained
    if source not in methods:
        named = unknown_name(source, [*(["random"] if starts else []), *sorted(methods)])
        return f"there is no method {named} under methods"
    if setting == "warm_start" and source in trained:
        return (
            f"{source!r} is neither random nor one of the layer-wise methods that have settings "
            "under methods"
        )
    densities = setting == "allocation"
    if source == name and not starts:
        own = "take its own densities" if densities else "keep its own masks; name another"
        return f"a method cannot {own}"
    if name in lent_by([source], settings) and not starts:
        variant = f"a variant of it, as in NAME: {{like: {name}, allocation: ...}}"
        instead = f"give the allocation to {variant}" if densities else "name another"
        return f"{source} takes masks from {name} itself; {instead}"
    pattern = written_pattern(settings["implementations"][source], methods[source])
    if masks.pattern is None or pattern == (masks.pattern or FREE):
        return ""
    budget = f'with budget "{masks.pattern}"' if masks.pattern else "without an N:M budget"
    return f"must be {'random or ' if starts else ''}a method {budget}, not {source}"


def _allocation_problems(settings: Mapping[str, Any], name: str) -> Iterator[Problem]:
    """Densities for budgets that have their own."""
    values = settings["methods"][name]
    budget = values.get("budget", "")
    spread = budget == "global" or pattern_of(settings["implementations"][name], values)
    if spread and values.get("allocation", "uniform") != "uniform":
        yield (
            "allocation",
            f"budget {budget} spreads sparsity itself; use another budget or allocation uniform",
        )


def _pattern_problems(settings: Mapping[str, Any]) -> Iterator[str]:
    """Sparsities that cannot be had with a method's pattern."""
    methods, implementations = settings["methods"], settings["implementations"]
    for place, sparsity, demanded in studies.sparsities(settings):
        for name in demanded:
            if not can_have(implementations[name], methods[name], sparsity):
                pattern = pattern_of(implementations[name], methods[name])
                yield f"{place}: {sparsity} cannot be had with pattern {pattern}"
