"""Checks of a run against the results in its folder, before the first job: warnings and refusals.

Finished trainings cost hours, and a table must not lose rows unnoticed.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from leap_suite.artifacts.files import read_json
from leap_suite.artifacts.recorded import differences, summary
from leap_suite.plan.cell import Cell
from leap_suite.plan.recipe import Recipes
from leap_suite.plan.validation import ConfigError

_HOURS = 1.0  # of training that may be recomputed without asking


def refuse_unrecorded(evaluation: Path, recipe: Mapping[str, Any]) -> None:
    """Raise ConfigError if an evaluation that Snakemake has no record of has another recipe.

    Without a record, as in a copied folder, Snakemake takes every file for up to date.
    """
    recorded = read_json(evaluation).get("provenance", {}).get("recipe", {})
    if others := differences(recorded, recipe):
        raise ConfigError(
            f"{evaluation} was made with other settings or code than this run's: "
            f"{summary(others)}. Snakemake has no record of it (.snakemake), so nothing would be "
            "recomputed. Give this run another name, run=NAME, or delete the folder"
        )


def recomputed(
    results: Path, trainings: Mapping[Cell, str], recipes: Recipes, replace: bool
) -> list[str]:
    """One line for each finished training that this run recomputes: hours and reason.

    `trainings` are the cells to train, with Snakemake's reason. Raises ConfigError if they took
    more than an hour and the setting `replace` does not allow it.
    """
    lines, total = [], 0.0
    for cell, reason in trainings.items():
        folder = results / "pruned" / cell.path  # of learned masks, or of learned weights
        for file in filter(Path.is_file, (folder / "training.json", folder / "pruning.json")):
            report = read_json(file)
            others = differences(report.get("recipe", {}), recipes.masks(cell))
            hours = report["cost"].get("training_seconds", 0.0) / 3600
            total += hours
            why = summary(others) or reason
            lines.append(
                f"recomputes a finished training: {cell.path} ({hours:.2f} h), since {why}"
            )
    if total > _HOURS and not replace:
        first = f"this would recompute finished trainings of {total:.1f} hours:"
        last = "Give this run another name, run=NAME, or allow it with replace=true"
        raise ConfigError("\n".join([first, *lines, last]))
    return lines


def left_out(results: Path, cells: Iterable[Cell]) -> str:
    """One line on finished cells in the folder `results` that are none of `cells`, or ""."""
    wanted = {f"{cell.path}.json" for cell in cells}
    folder = results / "evaluations"
    finished = {file.relative_to(folder).as_posix() for file in folder.rglob("*.json")}
    others = len(finished - wanted)
    if not others:
        return ""
    return (
        f"{results} has {others} finished cell{'s' * (others > 1)} that this grid leaves out: its "
        "tables and figures will be without them. To keep both, name this run: run=NAME"
    )
