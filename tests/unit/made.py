"""Cells of invented numbers in files, as stages write them, and the results that are collected."""

import json
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from leap_suite.artifacts.items import write_items
from leap_suite.plan.cell import DENSE, Cell
from leap_suite.results.collect import Files, Shown, collect
from leap_suite.results.frame import CELL, Results

KINDS = ("q", "k", "v", "o", "gate", "up", "down")
Made = dict[str, Files]  # by the path of the cell


def scored(acc: float = 0.5, **more: Any) -> dict[str, Any]:
    """What an evaluation says of a task."""
    return {"acc": acc, "acc_stderr": 0.01, "samples": 9, "version": "1", **more}


def made(
    folder: Path,
    model: str,
    method: str,
    sparsity: float = 0.5,
    seed: int = 0,
    *,
    tasks: Mapping[str, Mapping[str, Any]] | None = None,
    answers: Mapping[str, Sequence[float]] | None = None,
    ppl: float = 9.0,
    in_domain: float | None = None,
    kl: float | None = None,
    achieved: float | None = None,
    provenance: Mapping[str, Any] | None = None,
    manifest: Mapping[str, Any] | None = None,
) -> Made:
    """One cell; `answers` are the scores of every item by task, whose mean a task's own is then."""
    cell = Cell.at(model, method, 0.0 if method == DENSE else sparsity, seed)
    target = cell.target
    place = folder / cell.path
    place.mkdir(parents=True, exist_ok=True)
    if tasks is None:
        means = {
            t: scored(statistics.fmean(of), samples=len(of)) for t, of in (answers or {}).items()
        }
        tasks = means or {"piqa": scored()}
    named = {"model": model, "method": method, "seed": seed}
    evaluation = {
        **named,
        "sparsity": cell.sparsity,
        "achieved_sparsity": target if achieved is None else achieved,
        "perplexity": {"value": ppl, "stderr": ppl / 100},
        **({"in_domain": {"value": in_domain, "stderr": 0.3}} if in_domain else {}),
        **({"divergence": {"value": kl, "stderr": kl / 10}} if kl else {}),
        "tasks": {task: {"task": task, **entry} for task, entry in tasks.items()},
        "provenance": {"recipe": {"checkpoint": {"masks": {}}}, **(provenance or {})},
    }
    layers = [f"model.layers.{block}.part.{kind}_proj" for block in range(2) for kind in KINDS]
    facts = {
        **named,
        "target_sparsity": target,
        "layer_sparsity": dict.fromkeys(layers, target),
        "weights": 1000,
        "survivors": round(1000 * (1 - target)),
        "dtype": "bfloat16",
        "kept_weights_changed": False,
        "selection": {"rule": "exact"},
        "pruning": {"cost": {"wall_time_seconds": 3.0}},
        **(manifest or {}),
    }
    files = Files(
        _json(place / "evaluation.json", evaluation),
        place / "items.csv.gz" if answers else None,
        None if method == DENSE else _json(place / "manifest.json", facts),
    )
    if answers:
        leaves = {t: t.removesuffix("_norm") for t in answers}
        write_items({t: {leaves[t]: dict(enumerate(of))} for t, of in answers.items()}, files.items)
    return {cell.path: files}


def collected(
    files: Made,
    tasks: Mapping[str, Mapping[str, Any]] | None = None,
    patterns: Mapping[str, str] | None = None,
) -> Results:
    """The results; `tasks` say how they are shown."""
    return collect(files, Shown(tasks or {}, patterns or {}))


def part_of(results: Results, chosen: pd.Series) -> Results:
    """The results of the cells that a boolean column of `cells` chooses."""
    cells = pd.MultiIndex.from_frame(results.cells.loc[chosen, CELL])
    frames = (results.frame, results.items)
    return Results(*(f[pd.MultiIndex.from_frame(f[CELL]).isin(cells)] for f in frames))


def _json(path: Path, content: Mapping[str, Any]) -> Path:
    path.write_text(json.dumps(content))
    return path
