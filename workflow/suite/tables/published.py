"""The numbers of the paper, as kept in results/published."""

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

FILE = Path(__file__).parents[3] / "results/published/leap.csv"

# Columns that are no task.
_OTHER = ("model", "method", "sparsity", "ppl", "average", "source")


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


def read_published(path: Path = FILE) -> list[Published]:
    """All published rows, in the file's order."""
    with open(path, newline="") as file:
        return [
            Published(
                row["model"],
                row["method"],
                row["sparsity"],
                float(row["ppl"]),
                {key: float(row[key]) for key in row if key not in _OTHER and row[key]},
                float(row["average"]),
                row["source"],
            )
            for row in csv.DictReader(file)
        ]


def published_models(path: Path = FILE) -> set[str]:
    """Names of the models of which something was published."""
    return {row.model for row in read_published(path)}


def averages(rows: Sequence[Published]) -> dict[tuple[str, str], dict[str, float]]:
    """Published averages by (model, sparsity) and method, as `suite.tables.headline` takes them."""
    means: dict[tuple[str, str], dict[str, float]] = {}
    for row in rows:
        means.setdefault((row.model, row.sparsity), {})[row.method] = row.average
    return means
