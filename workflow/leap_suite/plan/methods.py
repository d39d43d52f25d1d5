"""Descriptions of methods, read from their schemas: titles, looks, patterns, masks they take.

A schema is workflow/schemas/methods/<name>.schema.yaml or baselines/<name>/schema.yaml, and is
validated by workflow/schemas/method.schema.yaml. `method` is the name of a schema here, never of a
variant in a configuration.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from baselines.pattern import sparsity_of
from baselines.registry import module_name
from leap_suite.places import ROOT, SCHEMAS
from leap_suite.plan.cell import DENSE
from leap_suite.plan.validation import (
    ConfigError,
    read_yaml,
    refuse,
    schema_problems,
)

METHOD_SCHEMAS = SCHEMAS / "methods"
FOLDERS = ROOT / "baselines"

FREE = "free"  # no pattern, for readers

_N_M = re.compile(r"-(\d+)-(\d+)$")  # suffix of N:M variants


@dataclass(frozen=True)
class TakenMasks:
    """Masks taken from `method`, with pattern N:M, without pattern ("") or with any (None)."""

    method: str
    pattern: str | None


def known_methods() -> list[str]:
    """Names of all methods, which are those of the schema files."""
    return sorted(_schema_files())


def rule_folders() -> dict[str, Path]:
    """Folders of methods with a rule, baselines/<name>/rule.smk, in place of a module."""
    return {file.parent.name: file.parent for file in sorted(FOLDERS.glob("*/rule.smk"))}


def module_problems(settings: Mapping[str, Any]) -> Iterator[str]:
    """Layer-wise methods with a schema but without their module."""
    with_rules = rule_folders()
    for name, kind in settings["implementations"].items():
        layer_wise = not method_schema(kind).get("trained") and kind not in with_rules
        if layer_wise and find_spec(module_name(kind)) is None:
            yield f"methods.{name}: there is no module {module_name(kind).replace('.', '/')}.py"


def schema_file(method: str) -> Path:
    """Schema file of a method. Raises ConfigError for an unknown method."""
    files = _schema_files()
    if method not in files:
        raise ConfigError(f"there is no method {method!r} (known: {', '.join(sorted(files))})")
    return files[method]


@cache
def method_schema(method: str) -> Mapping[str, Any]:
    """Schema of a method with inherited settings: of the method that it `extends`, if any.

    Layer-wise methods inherit those of their common driver, except densities where a method takes
    its masks from another. Raises ConfigError for an invalid description.
    """
    schema = _read(schema_file(method))
    if "extends" in schema:
        below = method_schema(schema["extends"])
    elif schema.get("trained") or method in rule_folders():
        return schema
    else:
        below = read_yaml(SCHEMAS / "layer_wise.schema.yaml")
        if "takes_masks" in schema:
            for setting in below.pop("takes_masks"):
                del below["properties"][setting]
    return {
        **schema,
        "required": [*below.get("required", []), *schema.get("required", [])],
        "properties": {**below["properties"], **schema["properties"]},
        "takes_masks": {**below.get("takes_masks", {}), **schema.get("takes_masks", {})},
    }


def methods_that_are(keyword: str, settings: Mapping[str, Any]) -> set[str]:
    """Configured methods whose schema has this keyword.

    `stochastic`: results depend on the seed. `trained`: learned on the training corpus. `retrains`:
    kept weights are trained. `control`: a reference for the others.
    """
    implementations = settings["implementations"].items()
    return {name for name, kind in implementations if method_schema(kind).get(keyword, False)}


def weight_learners(settings: Mapping[str, Any]) -> set[str]:
    """Configured methods that are trained and give new weights with a mask."""
    return methods_that_are("trained", settings) & methods_that_are("changes_weights", settings)


def mask_learners(settings: Mapping[str, Any]) -> set[str]:
    """Configured methods that are trained and give logits, for the selection of masks."""
    return methods_that_are("trained", settings) - weight_learners(settings)


# Names


def base_method(name: str) -> str:
    """Name without the suffix of an N:M variant."""
    return _N_M.sub("", name)


def method_label(name: str) -> str:
    """Label of a method or variant: wanda-2-4 is Wanda 2:4, admm-cubic is ADMM cubic.

    A name that does not start with a method's is its own label.
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
    """Look of a method or its N:M variant in figures, if its schema has one."""
    base = base_method(name)
    return method_schema(base).get("look") if base in _schema_files() else None


def is_control(name: str) -> bool:
    """Whether a method, or its N:M variant, is a control, which is never the best."""
    base = base_method(name)
    return base in _schema_files() and method_schema(base).get("control", False)


# Patterns


def pattern_of(method: str, values: Mapping[str, Any]) -> str:
    """Pattern N:M of a method with these settings, or ""."""
    described = method_schema(method).get("sparsity_pattern")
    pattern = str(values[described["setting"]]) if described else ""
    return pattern if sparsity_of(pattern) is not None else ""


def written_pattern(method: str, values: Mapping[str, Any]) -> str:
    """Pattern for readers: "2:4", "dense or 2:4" for a method of tiles, "8 bits", or "free"."""
    if "bits" in values:
        return f"{values['bits']} bits"
    pattern = pattern_of(method, values)
    return (f"dense or {pattern}" if _of_tiles(method) else pattern) if pattern else FREE


def can_have(method: str, values: Mapping[str, Any], sparsity: float) -> bool:
    """Whether a sparsity is possible: N:M has one, a method of N:M tiles any up to that."""
    most = sparsity_of(pattern_of(method, values))
    return most is None or (sparsity <= most if _of_tiles(method) else sparsity == most)


def only_sparsity(method: str, values: Mapping[str, Any]) -> float | None:
    """The one sparsity of a method with N:M in all groups or by its schema, else None."""
    if "only_sparsity" in method_schema(method):
        return float(method_schema(method)["only_sparsity"])
    return None if _of_tiles(method) else sparsity_of(pattern_of(method, values))


def _of_tiles(method: str) -> bool:
    return method_schema(method).get("sparsity_pattern", {}).get("scope") == "tiles"


# Masks of other methods


def masks_taken(method: str, values: Mapping[str, Any]) -> dict[str, TakenMasks]:
    """Masks that a method takes with these settings, by setting; none for a random start."""
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
        starts = schema.get("trained", False) and setting != "mask_from"
        is_random = name == "random" and starts
        if not is_random and (kind != "densities" or isinstance(value, Mapping)):
            taken[setting] = TakenMasks(str(name), patterns[kind])
    return taken


def used_methods(names: Iterable[str], settings: Mapping[str, Any]) -> list[str]:
    """Implementations of these configured methods and of their lenders, sorted."""
    return sorted({settings["implementations"][name] for name in lent_by(names, settings)})


def lent_by(names: Iterable[str], settings: Mapping[str, Any]) -> set[str]:
    """These configured methods and their lenders of masks, direct or not.

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
    meta_schema = read_yaml(SCHEMAS / "method.schema.yaml")
    if problems := [*schema_problems(schema, meta_schema, place)]:
        refuse(["invalid description of a method:", *problems])
    return schema
