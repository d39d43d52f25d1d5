"""The published numbers, as kept in results/published, each with its source."""

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from suite.plan.cell import DENSE, LEAP

_FOLDER = Path(__file__).parents[3] / "results/published"

FILES = (_FOLDER / "leap.csv", _FOLDER / "thesis.csv")

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
                {key: float(row[key]) for key in row if key not in _OTHER and row[key]},
                float(row["average"]),
                row["source"],
            )
            for row in csv.DictReader(file)
        ]


def published_models(paths: Sequence[Path] = FILES) -> set[str]:
    """Names of the models of which something was published."""
    return {row.model for row in read_published(paths)}


def baselines(rows: Sequence[Published]) -> list[str]:
    """The published methods other than LEAP, all of them layer-wise."""
    return [name for name in dict.fromkeys(row.method for row in rows) if name not in (DENSE, LEAP)]


def by_method(rows: Sequence[Published]) -> dict[tuple[str, str], dict[str, Published]]:
    """The rows by (model, sparsity) and method; of several of one cell that of the best average."""
    places: dict[tuple[str, str], dict[str, Published]] = {}
    for row in rows:
        of_place = places.setdefault((row.model, row.sparsity), {})
        if row.method not in of_place or row.average > of_place[row.method].average:
            of_place[row.method] = row
    return places


def averages(rows: Sequence[Published]) -> dict[tuple[str, str], dict[str, float]]:
    """Averages of `by_method`, as `suite.tables.headline` takes them."""
    return {
        place: {method: row.average for method, row in of_place.items()}
        for place, of_place in by_method(rows).items()
    }
