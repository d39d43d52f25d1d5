"""The settings of a run: scale file < config.yaml < --configfile and --config, validated.

A scale's file says everything, or lies over that of another scale, which it `extends`.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from suite.plan import calibration, studies, tokens, variants
from suite.plan.methods import (
    FREE,
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
    read_yaml,
    schema_problems,
    unknown_name,
)

SCALES = WORKFLOW / "scales"
MINIATURES = WORKFLOW / "suite" / "miniature" / "checkpoints"

# Names below results/ that no run can have.
RESERVED = ("examples", "logs", "miniatures", "mlartifacts", "published")

# Settings that name what a `revision` beside them is of.
_REPOSITORIES = ("hub", "dataset", "id")
# the keys that say of which kind these settings are
_KINDS = {"source": {"hub", "path", "pypi", "miniature"}, "text": {"hub", "miniature"}}


def load(overrides: Mapping[str, Any]) -> dict[str, Any]:
    """Merge `overrides` over the scale that they name, and validate the result.

    Raises ConfigError with one line a problem.
    """
    scale = overrides.get("scale")
    below = scale_settings(scale)
    schema = read_yaml(SCHEMAS / "config.schema.yaml")
    settings = typed(merge(below, {"run": scale, **overrides}), schema, schema)
    problems = [*schema_problems(settings, schema, "")]
    if not problems:
        settings["methods"] = studies.with_variants(settings)
        problems = [*variants.problems(settings["methods"])]
    if not problems:
        settings["methods"], settings["implementations"] = variants.resolve(settings["methods"])
        problems = [*_method_problems(settings), *_model_problems(settings)]
        problems += [*_place_problems(settings), *_revision_problems(settings)]
    if not problems:
        made = tokens.variants(settings)  # which only their study looks at
        own = [name for name in settings["methods"] if name not in made]
        problems = [*_training_problems(settings), *calibration.problems(settings, own)]
    if not problems:
        problems = [*_allocation_problems(settings), *_mask_from_problems(settings)]
        problems += [*_pattern_problems(settings)]
    if problems:
        raise ConfigError("\n".join(problems))
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
    """`above` laid over `below`: mappings are merged key by key, anything else is replaced."""
    merged = dict(below)
    if any(key in below and above.get(key, below[key]) != below[key] for key in _REPOSITORIES):
        merged.pop("revision", None)  # which is a commit of the other repository
    for key, value in above.items():
        lower = merged.get(key)
        if not (isinstance(lower, Mapping) and isinstance(value, Mapping)):
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


def _method_problems(settings: Mapping[str, Any]) -> Iterator[str]:
    known = known_methods()
    for name, implementation in settings["implementations"].items():
        if implementation not in known:
            yield f"methods.{name}: there is no method {unknown_name(implementation, known)}"
            continue
        schema = method_schema(implementation)
        settings["methods"][name] = typed(settings["methods"][name], schema, schema)
        yield from schema_problems(settings["methods"][name], schema, f"methods.{name}")
    yield from tokens.problems(settings)
    for section in _grids(settings):
        for name in settings[section]["methods"]:
            if name not in settings["methods"]:
                hint = "" if name in known else f": there is no method {unknown_name(name, known)}"
                hint = hint or f": give its settings under methods.{name}"
                yield f"{section}.methods: {name!r} has no settings{hint}"


def _grids(settings: Mapping[str, Any]) -> list[str]:
    """The sections that name the models and methods of cells."""
    return [name for name in ("grid", "patterns", *studies.GRIDS) if name in settings]


def _model_problems(settings: Mapping[str, Any]) -> Iterator[str]:
    defined = sorted(settings["models"])
    for study in ("tokens", *studies.VARIED):
        for name in settings.get(study, {}).get("models", []):
            if name not in defined:
                named = unknown_name(name, defined)
                yield f"{study}.models: there is no model {named} under models"
    miniatures = sorted(file.parent.name for file in MINIATURES.glob("*/config.json"))
    for section in _grids(settings):
        for name in settings[section]["models"]:
            if name not in defined:
                named = unknown_name(name, defined)
                yield f"{section}.models: there is no model {named} under models"
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
    places = ("hub_mirror", "prefetch_to", "jobs_per_gpu", "tracking", "warm_worker", "replace",
              "execution")  # fmt: skip
    hidden = (*places, "implementations", *studies.STUDIES)
    return {key: value for key, value in settings.items() if key not in hidden}


def _place_problems(settings: Mapping[str, Any]) -> Iterator[str]:
    if settings["run"] in RESERVED:
        yield f"run: results/{settings['run']} is kept for something else; take another name"
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
    listed = [name for section in _grids(settings) for name in settings[section]["methods"]]
    listed += settings.get("tokens", {}).get("trained", {}).get("methods", [])
    run = lent_by(listed, settings)
    for name in sorted(trained):
        if name in run and "training" not in settings["corpora"]:
            yield f"corpora.training: must be set, since {name} is trained on it"
        start = methods[name].get("warm_start", "random")
        if start != "random" and (start not in methods or start in trained):
            yield (
                f"methods.{name}.warm_start: {start!r} is neither random nor one of the "
                "layer-wise methods that have settings under methods"
            )


def _allocation_problems(settings: Mapping[str, Any]) -> Iterator[str]:
    """Densities of methods that there are not, or for budgets that have their own."""
    methods, implementations = settings["methods"], settings["implementations"]
    for name, values in methods.items():
        allocation = values.get("allocation", "uniform")
        if allocation == "uniform":
            continue
        budget = values.get("budget", "")
        if budget == "global" or pattern_of(implementations[name], values):
            yield (
                f"methods.{name}.allocation: budget {budget} spreads sparsity itself; use another "
                "budget or allocation uniform"
            )
        source = allocation["from"] if isinstance(allocation, Mapping) else name
        if source not in methods:
            yield f"methods.{name}.allocation.from: {unknown_name(source, sorted(methods))}"
        elif source != name and name in lent_by([source], settings):
            yield (
                f"methods.{name}.allocation.from: {source} takes masks from {name} itself; give "
                f"the allocation to a variant of it, as in NAME: {{like: {name}, allocation: ...}}"
            )
        elif source == name and isinstance(allocation, Mapping):
            yield f"methods.{name}.allocation.from: a method cannot take its own densities"


def _mask_from_problems(settings: Mapping[str, Any]) -> Iterator[str]:
    """Masks to keep of methods that there are not, or that have theirs from who keeps them."""
    methods = settings["methods"]
    for name, source in ((n, values.get("mask_from")) for n, values in methods.items()):
        if source is None:
            continue
        if source not in methods:
            named = unknown_name(source, sorted(methods))
            yield f"methods.{name}.mask_from: there is no method {named} under methods"
        elif source == name:
            yield f"methods.{name}.mask_from: a method cannot keep its own masks; name another"
        elif name in lent_by([source], settings):
            yield (
                f"methods.{name}.mask_from: {source} takes masks from {name} itself; name another"
            )


def _pattern_problems(settings: Mapping[str, Any]) -> Iterator[str]:
    """Masks of another pattern than is needed, and sparsities that cannot be had."""
    methods, implementations = settings["methods"], settings["implementations"]
    written = {
        name: written_pattern(implementations[name], values) for name, values in methods.items()
    }
    for name, values in methods.items():
        for setting, taken in masks_taken(implementations[name], values).items():
            wanted = taken.pattern
            if wanted is not None and written.get(taken.method, FREE) != (wanted or FREE):
                budget = f'with budget "{wanted}"' if wanted else "without an N:M budget"
                other = "" if setting == "mask_from" else "random or "
                yield (
                    f"methods.{name}.{setting}: must be {other}a method {budget}, "
                    f"not {taken.method}"
                )
    for name, sparsities in settings.get("patterns", {}).get("methods", {}).items():
        for sparsity in sparsities:
            if not can_have(implementations[name], methods[name], sparsity):
                pattern = pattern_of(implementations[name], methods[name])
                yield f"patterns.methods.{name}: {sparsity} cannot be had with pattern {pattern}"
