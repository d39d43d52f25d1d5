"""Tasks as they are shown: titles, and which count in the average."""

from collections.abc import Mapping
from typing import Any

GENERATED = "mini_"  # how names of generated tasks begin


def shown(settings: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """The title of every task, and whether it counts in the average, by name."""
    tasks = settings["evaluation"]["tasks"]
    return {
        name: {"title": task.get("title", name), "averaged": task.get("averaged", True)}
        for name, task in tasks.items()
    }
