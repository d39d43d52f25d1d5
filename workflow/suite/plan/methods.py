"""What is known of a method outside its code: all of it is read from the method's schema.

A schema lies in workflow/schemas/methods/<name>.schema.yaml, or in the method's own folder as
baselines/<name>/schema.yaml; workflow/schemas/method.schema.yaml says what has to be in it.
`method` is such a name here and below, never that of a variant that a configuration defines.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from baselines.pattern import sparsity_of
from suite.plan.cell import DENSE
from suite.plan.validation import SCHEMAS, WORKFLOW, ConfigError, read_yaml, refuse, schema_problems

METHOD_SCHEMAS = SCHEMAS / "methods"
FOLDERS = WORKFLOW.parent / "baselines"

FREE = "free"  # how the lack of a pattern is written

_N_M = re.compile(r"-(\d+)-(\d+)$")  # how the names of variants under N:M end


@dataclass(frozen=True)
class TakenMasks:
    """Masks of another method that one takes: under N:M, under no pattern (""), or any (None)."""

    method: str
    pattern: str | None


def known_methods() -> list[str]:
    """Methods are known by their schema files."""
    return sorted(_schema_files())


def rule_folders() -> dict[str, Path]:
    """Methods that are no module but bring a rule, baselines/<name>/rule.smk, by their folders."""
    return {file.parent.name: file.parent for file in sorted(FOLDERS.glob("*/rule.smk"))}


def schema_file(method: str) -> Path:
    """Where the method describes itself. Raises ConfigError for an unknown method."""
    files = _schema_files()
    if method not in files:
        raise ConfigError(f"there is no method {method!r} (known: {', '.join(sorted(files))})")
    return files[method]


@cache
def method_schema(method: str) -> Mapping[str, Any]:
    """The schema of a method; one that `extends` another has its settings as well.

    So has every layer-wise method those that the driver of them all understands. Raises ConfigError
    where the method does not describe itself as it has to.
    """
    schema = _read(schema_file(method))
    if "extends" in schema:
        return _over(method_schema(schema["extends"]), schema)
    if schema.get("trained") or method in rule_folders():
        return schema
    return _over(_of_the_driver(schema), schema)


def _of_the_driver(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    """What the driver of layer-wise methods understands beside the settings of this one.

    Where a method takes its masks from another, there is nothing for densities to decide.
    """
    driver = read_yaml(SCHEMAS / "layer_wise.schema.yaml")
    if "takes_masks" not in schema:
        return driver
    others = {k: v for k, v in driver["properties"].items() if k not in driver["takes_masks"]}
    return {**driver, "takes_masks": {}, "properties": others}


def _over(below: Mapping[str, Any], schema: Mapping[str, Any]) -> dict[str, Any]:
    """A schema with the settings of the one `below` it as well."""
    return {
        **schema,
        "required": [*below.get("required", []), *schema.get("required", [])],
        "properties": {**below["properties"], **schema["properties"]},
        "takes_masks": {**below.get("takes_masks", {}), **schema.get("takes_masks", {})},
    }


def methods_that_are(keyword: str, settings: Mapping[str, Any]) -> set[str]:
    """Configured methods whose schema has this keyword.

    `stochastic`: results depend on the seed. `trained`: they learn on the training corpus.
    `retrains`: they train the weights that they keep.
    `control`: they say what others are worth.
    """
    return {
        name
        for name, implementation in settings["implementations"].items()
        if method_schema(implementation).get(keyword, False)
    }


def weight_learners(settings: Mapping[str, Any]) -> set[str]:
    """Configured methods that are trained and give new weights with a mask, no logits."""
    return methods_that_are("trained", settings) & methods_that_are("changes_weights", settings)


def mask_learners(settings: Mapping[str, Any]) -> set[str]:
    """Configured methods that are trained and give logits, from which masks are selected."""
    return methods_that_are("trained", settings) - weight_learners(settings)


# Names


def base_method(name: str) -> str:
    """A method's name without the N:M at its end."""
    return _N_M.sub("", name)


def method_label(name: str) -> str:
    """How a method is written for readers; a name that no method's begins stays as it is.

    A variant is written as its method and the rest of its name: wanda-2-4 as Wanda 2:4, admm-cubic
    as ADMM cubic.
    """
    if name == DENSE:
        return "Dense"
    begins = [known for known in _schema_files() if f"{name}-".startswith(f"{known}-")]
    if not begins:
        return name
    base = max(begins, key=len)
    rest = _N_M.sub(r" \1:\2", name.removeprefix(base))
    return method_schema(base)["title"] + rest.replace("-", " ")


def look_of(name: str) -> Mapping[str, Any] | None:
    """The look in figures that a method, or its variant under N:M, asks for, if it does."""
    base = base_method(name)
    return method_schema(base).get("look") if base in _schema_files() else None


def is_control(name: str) -> bool:
    """Whether a method, or its variant under N:M, is a control, which is never the best.

    Of a variant with a name of its own, ask for what it is a variant of.
    """
    base = base_method(name)
    return base in _schema_files() and method_schema(base).get("control", False)


# Patterns


def pattern_of(method: str, values: Mapping[str, Any]) -> str:
    """The pattern N:M that a method with these settings has, "" for one without."""
    described = method_schema(method).get("sparsity_pattern")
    pattern = str(values[described["setting"]]) if described else ""
    return pattern if sparsity_of(pattern) is not None else ""


def written_pattern(method: str, values: Mapping[str, Any]) -> str:
    """The same for readers: "2:4", "dense or 2:4" for a method of tiles, or "free"."""
    pattern = pattern_of(method, values)
    return (f"dense or {pattern}" if _of_tiles(method) else pattern) if pattern else FREE


def can_have(method: str, values: Mapping[str, Any], sparsity: float) -> bool:
    """Whether a method with these settings can have this sparsity: N:M has one, its tiles less."""
    most = sparsity_of(pattern_of(method, values))
    return most is None or (sparsity <= most if _of_tiles(method) else sparsity == most)


def only_sparsity(method: str, values: Mapping[str, Any]) -> float | None:
    """The one sparsity of a method that is N:M throughout, None for any other."""
    return None if _of_tiles(method) else sparsity_of(pattern_of(method, values))


def _of_tiles(method: str) -> bool:
    return method_schema(method).get("sparsity_pattern", {}).get("scope") == "tiles"


# Masks of other methods


def masks_taken(method: str, values: Mapping[str, Any]) -> dict[str, TakenMasks]:
    """By setting: the masks that a method takes with these settings, none where it is random."""
    patterns = {
        "own pattern": pattern_of(method, values),
        "unstructured": "",
        "any pattern": None,
        "densities": None,
    }
    schema, taken = method_schema(method), {}
    for setting, kind in schema.get("takes_masks", {}).items():
        value = values.get(setting)
        name = value.get("from") if isinstance(value, Mapping) else value
        is_random = name == "random" and schema.get("trained", False)
        if not is_random and (kind != "densities" or isinstance(value, Mapping)):
            taken[setting] = TakenMasks(str(name), patterns[kind])
    return taken


def used_methods(names: Iterable[str], settings: Mapping[str, Any]) -> list[str]:
    """The methods behind these configured names, and those whose masks they take, by name."""
    return sorted({settings["implementations"][name] for name in lent_by(names, settings)})


def lent_by(names: Iterable[str], settings: Mapping[str, Any]) -> set[str]:
    """These configured methods, and all others whose masks they take, directly or not.

    Names without settings are left out.
    """
    open_names, seen = list(names), set[str]()
    while open_names:
        name = open_names.pop()
        if name not in seen and name in settings["methods"]:
            seen.add(name)
            taken = masks_taken(settings["implementations"][name], settings["methods"][name])
            open_names += [masks.method for masks in taken.values()]
    return seen


# Files


@cache
def _schema_files() -> dict[str, Path]:
    files = {f.name.removesuffix(".schema.yaml"): f for f in METHOD_SCHEMAS.glob("*.schema.yaml")}
    return files | {file.parent.name: file for file in FOLDERS.glob("*/schema.yaml")}


@cache
def _read(file: Path) -> Mapping[str, Any]:
    schema = read_yaml(file)
    place = file.relative_to(file.parents[2]).as_posix()
    if problems := [*schema_problems(schema, _meta_schema(), place)]:
        refuse(["a method does not describe itself:", *problems])
    return schema


@cache
def _meta_schema() -> dict[str, Any]:
    return read_yaml(SCHEMAS / "method.schema.yaml")
