"""How a run looks in MLflow: its name, the metrics it is listed and drawn by, its layers' table.

Journals stay as they are; this is chosen when they are sent, for those of earlier versions too.
"""

import csv
import io
import math
import statistics
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from suite.artifacts.files import read_json
from suite.plan.cell import Cell
from suite.tracking.journal import Point, Record

TASKS = ("piqa", "arc_easy", "arc_challenge", "winogrande", "openbookqa", "mmlu")

_LAYER = "density/"
_NAMES = {"ppl": "perplexity", "in_domain_ppl": "perplexity_in_domain"}


def run_name(tags: Mapping[str, str]) -> str:
    """As `llama-3.2-1b leap 0.6 evaluate`, with `seed 1` at the end for a seed other than 0."""
    words = [tags[key] for key in ("model", "method", "sparsity", "stage") if key in tags]
    seed = tags.get("seed", "0")
    return " ".join(words if seed == "0" else [*words, f"seed {seed}"])


def charted(points: Iterable[Point]) -> list[Point]:
    """The points that become metrics, under the names that MLflow shows.

    Layers' densities do not: MLflow draws a chart of each, hundreds of them, before the loss.
    """
    return [
        replace(point, name=_NAMES.get(point.name, point.name))
        for point in points
        if not point.name.startswith(_LAYER)
    ]


def layer_table(points: Iterable[Point]) -> str:
    """The layers' densities as CSV, a row a layer and a column a step; "" where there are none."""
    densities: dict[str, dict[int, float]] = {}
    for point in points:
        if point.name.startswith(_LAYER):
            layer = point.name.removeprefix(_LAYER)
            densities.setdefault(layer, {})[point.step] = point.value
    if not densities:
        return ""
    steps = sorted(set().union(*densities.values()))
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(["layer", *steps])
    table.writerows([layer, *map(found.get, steps)] for layer, found in densities.items())
    return text.getvalue()


def summary(record: Record) -> list[Point]:
    """An evaluation's `average` and `recovered_share`, in percent, as the tables define them.

    None of a journal without the six accuracies; no share where the dense model's evaluation does
    not lie beside this one, does not say what chance is, or is not above it.
    """
    scores = {point.name: point.value for point in record.points}
    if not scores.keys() >= set(TASKS):
        return []
    average = statistics.fmean(scores[task] for task in TASKS)
    share = _recovered_share(average, _dense_tasks(record))
    values = {"average": average, "recovered_share": share}
    time = record.points[-1].time
    return [Point(name, value, time, 0) for name, value in values.items() if math.isfinite(value)]


def _recovered_share(average: float, dense: Mapping[str, Mapping[str, float]]) -> float:
    chance, of_dense = (
        100 * statistics.fmean(dense.get(task, {}).get(key, math.nan) for task in TASKS)
        for key in ("chance", "acc")
    )
    return 100 * (average - chance) / (of_dense - chance) if of_dense > chance else math.nan


def _dense_tasks(record: Record) -> dict[str, Any]:
    """What the dense model scored, by task; nothing where its evaluation is not there."""
    tags = record.start.tags
    cell = Cell(tags["model"], tags["method"], tags["sparsity"], int(tags["seed"]))
    depth = len(Path(cell.path).parts)
    for evaluation in record.artifacts:
        dense = evaluation.parents[depth - 1] / f"{Cell.dense(cell.model).path}.json"
        if dense.is_file():
            return dict(read_json(dense)["tasks"])
    return {}
