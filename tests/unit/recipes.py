"""Settings and recipes of tests; recipes are those of the fixture `place`."""

from typing import Any

from leap_suite.plan import methods
from leap_suite.plan.config import load, merge
from leap_suite.plan.recipe import Recipes

MODEL = "mini-gemma-3-1b"

_PLACE = {
    "scale": "mini",
    "hub_mirror": "",
    "grid": {"models": [MODEL]},
    "corpora": {
        "calibration": {"length": 24, "sequences": 8, "batch": 8},
        "perplexity": {"length": 64, "sequences": 8},
    },
}


def loaded(**overrides: Any) -> dict[str, Any]:
    """Settings of scale mini with these changes."""
    return load({"scale": "mini", "hub_mirror": "", **overrides})


def forget_schemas() -> None:
    """Read the schemas of methods again."""
    for cached in (methods._schema_files, methods._read, methods.method_schema):
        cached.cache_clear()


def recipes(**overrides: Any) -> Recipes:
    """Recipes of scale mini with small corpora and these changes."""
    return Recipes(load(merge(_PLACE, overrides)))


def limited(items: int) -> dict[str, Any]:
    """Overrides that limit every task to this number of items."""
    tasks = ("piqa", "arc_easy", "arc_challenge", "winogrande", "openbookqa", "mmlu")
    return {"evaluation": {"tasks": {task: {"limit": items} for task in tasks}}}
