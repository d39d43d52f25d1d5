"""Methods by name, as their schemas describe them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from baselines.pattern import sparsity_of
from suite.plan.yaml_files import read_yaml

METHOD_SCHEMAS = Path(__file__).parents[2] / "schemas" / "methods"


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
    schema = read_yaml(METHOD_SCHEMAS / f"{name}.schema.yaml")
    if "extends" not in schema:
        return schema
    below = method_schema(schema.pop("extends"))
    return {
        **schema,
        "required": [*below["required"], *schema["required"]],
        "properties": {**below["properties"], **schema["properties"]},
    }


def pattern_of(values: Mapping[str, Any]) -> str:
    """The pattern N:M that a method with these settings has, "" for one without."""
    pattern = str(values.get("pattern", values.get("budget", "")))
    return pattern if sparsity_of(pattern) is not None else ""


def can_have(values: Mapping[str, Any], sparsity: float) -> bool:
    """Whether a method with these settings can have this sparsity: N:M has one, its tiles less."""
    most = sparsity_of(pattern_of(values))
    return most is None or (sparsity <= most if "tile" in values else sparsity == most)
