"""The recipes of the miniature and corpora that the fixture `place` makes."""

from typing import Any

from suite.plan.config import load, merge
from suite.plan.recipe import Recipes

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


def recipes(**overrides: Any) -> Recipes:
    """Of scale mini with small corpora, and whatever else is given."""
    return Recipes(load(merge(_PLACE, overrides)))


def limited(items: int) -> dict[str, Any]:
    """Overrides by which every task has this many items."""
    tasks = ("piqa", "arc_easy", "arc_challenge", "winogrande", "openbookqa", "mmlu")
    return {"evaluation": {"tasks": {task: {"limit": items} for task in tasks}}}
