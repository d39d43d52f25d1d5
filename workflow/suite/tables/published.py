"""The published numbers, as kept in results/published, each with its source."""

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from suite.plan.cell import DENSE, LEAP
from suite.results.frame import Results

_FOLDER = Path(__file__).parents[3] / "results/published"

FILES = (_FOLDER / "leap.csv", _FOLDER / "thesis.csv")

# What averages are published over: accuracies without examples.
TASKS = ("piqa", "arc_easy", "arc_challenge", "winogrande", "openbookqa", "mmlu")


@dataclass(frozen=True)
class Published:
    """One published row. Accuracies in percent, by task, only where they were published."""

    model: str
    method: str
    sparsity: str
    perplexity: float
    accuracy: dict[str, float]
    average: float
    source: str


def read_published(paths: Sequence[Path] = FILES) -> list[Published]:
    """All published rows, in the files' order: of one cell there may be several."""
    return [row for path in paths for row in _read(path)]


def _read(path: Path) -> list[Published]:
    with open(path, newline="") as file:
        return [
            Published(
                row["model"],
                row["method"],
                row["sparsity"],
                float(row["ppl"]),
                {task: float(row[task]) for task in TASKS if row[task]},
                float(row["average"]),
                row["source"],
            )
            for row in csv.DictReader(file)
        ]


def published_models(paths: Sequence[Path] = FILES) -> set[str]:
    """Names of the models of which something was published."""
    return {row.model for row in read_published(paths)}


def comparable(results: Results) -> list[str]:
    """The measures that are what was published: not tasks of the same names that were asked in
    another way, nor an average over other tasks."""
    same = [
        t.name for t in results.tasks if t.name in TASKS and (t.metric, t.fewshot) == ("acc", 0)
    ]
    averaged = {task.name for task in results.tasks if task.averaged}
    return [*same, *(["average"] if averaged == {*same} == {*TASKS} else []), "ppl"]


def baselines(rows: Sequence[Published]) -> list[str]:
    """The published methods other than LEAP, all of them layer-wise."""
    return [name for name in dict.fromkeys(row.method for row in rows) if name not in (DENSE, LEAP)]


def best(rows: Sequence[Published]) -> dict[tuple[str, str, str], Published]:
    """The rows by model, sparsity and method; of several of one cell that of the best average."""
    found: dict[tuple[str, str, str], Published] = {}
    for row in rows:
        place = (row.model, row.sparsity, row.method)
        if place not in found or row.average > found[place].average:
            found[place] = row
    return found


def averages(rows: Sequence[Published]) -> pd.Series:
    """Averages of `best`, as `suite.tables.headline.differences` takes them."""
    values = {(m, float(s), method): row.average for (m, s, method), row in best(rows).items()}
    index = pd.MultiIndex.from_tuples(values, names=["model", "sparsity", "method"])
    return pd.Series([*values.values()], index=index)
