"""A cell's run in MLflow: what it is found by and called, and how things are logged in it."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, NamedTuple

from suite.plan.cell import Cell

if TYPE_CHECKING:
    from mlflow.entities import Run
    from mlflow.tracking import MlflowClient

LAYER = "density/"  # begins the names of layers' densities


class Point(NamedTuple):
    """One value of one metric at a step; `time` in milliseconds since 1970."""

    name: str
    value: float
    time: int
    step: int


def tags_of(run: str, cell: Cell) -> dict[str, str]:
    """What a cell's run is found by, its name (`llama-3.2-1b leap 0.6`) and its files' places.

    A seed other than 0 is part of the name.
    """
    place = {"run": run, **{key: str(value) for key, value in asdict(cell).items()}}
    seed = f" seed {cell.seed}" if cell.seed else ""
    return place | {
        "mlflow.runName": f"{cell.model} {cell.method} {cell.sparsity}{seed}",
        "evaluation": f"results/{run}/evaluations/{cell.path}.json",
        "checkpoint": f"results/{run}/hardened/{cell.path}",
    }


def runs_of(client: "MlflowClient", experiment: str, tags: Mapping[str, str]) -> "list[Run]":
    """The runs of a cell with these tags: one, or none yet, or also some that have to give way."""
    place = ("run", "model", "method", "sparsity", "seed")
    wanted = " and ".join(f"tags.{key} = '{tags[key]}'" for key in place)
    return list(client.search_runs([experiment], wanted))


def parameters(settings: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """Nested settings as dotted names and text."""
    flat: dict[str, str] = {}
    for key, value in settings.items():
        nested = isinstance(value, Mapping)
        flat |= parameters(value, f"{prefix}{key}.") if nested else {f"{prefix}{key}": str(value)}
    return flat


def log(
    client: "MlflowClient", run_id: str, points: Iterable[Point], params: Mapping[str, str]
) -> None:
    """Log in as few requests as MLflow allows; it leaves out the points that it has.

    No layers' densities, which are a table: MLflow would draw hundreds of charts of them.
    """
    from mlflow.entities import Metric, Param

    charted = [Metric(*point) for point in points if not point.name.startswith(LAYER)]
    client.log_batch(run_id, charted, [Param(*pair) for pair in params.items()])
