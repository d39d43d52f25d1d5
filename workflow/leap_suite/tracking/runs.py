"""MLflow run of a cell: tags, parameters and metrics."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, NamedTuple

from leap_suite.plan.cell import DENSE, Cell

if TYPE_CHECKING:
    from mlflow.entities import Run
    from mlflow.tracking import MlflowClient

LAYER = "density/"  # prefix of the metrics with a layer's density


class Point(NamedTuple):
    """Value of a metric at a step; `time` in milliseconds since 1970."""

    name: str
    value: float
    time: int
    step: int


def tags_of(run: str, cell: Cell) -> dict[str, str]:
    """Tags of a cell's run: the cell, the run's name (`llama-3.2-1b leap 0.6`), paths of its files.

    The name includes a seed other than 0.
    """
    key = {"run": run, **{name: str(value) for name, value in asdict(cell).items()}}
    seed = f" seed {cell.seed}" if cell.seed else ""
    checkpoint = f"models/{cell.model}" if cell.method == DENSE else f"hardened/{cell.path}"
    return key | {
        "mlflow.runName": f"{cell.model} {cell.method} {cell.sparsity}{seed}",
        "evaluation": f"results/{run}/evaluations/{cell.path}.json",
        "checkpoint": f"results/{run}/{checkpoint}",
    }


def runs_of(client: "MlflowClient", experiment: str, tags: Mapping[str, str]) -> "list[Run]":
    """All runs of the cell with these tags."""
    key = ("run", "model", "method", "sparsity", "seed")
    wanted = " and ".join(f"tags.{name} = '{tags[name]}'" for name in key)
    return list(client.search_runs([experiment], wanted))


def begin(
    client: "MlflowClient",
    experiment: str,
    tags: Mapping[str, str],
    scores: Mapping[str, float],
    start: int | None,
) -> str:
    """Id of the cell's run with these tags and none of the scores, created if missing.

    All other runs of the cell are deleted: their results have been computed again.
    """
    ours = None
    for run in runs_of(client, experiment, tags):
        if tags.items() <= run.data.tags.items() and not scores.keys() & run.data.metrics:
            ours = run
        else:
            client.delete_run(run.info.run_id)
    ours = ours or client.create_run(experiment, start, {**tags})
    return str(ours.info.run_id)


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
    """Log metrics and parameters in one call; MLflow skips points that it already has.

    Densities of layers are left out: MLflow would draw hundreds of charts.
    """
    from mlflow.entities import Metric, Param

    charted = [Metric(*point) for point in points if not point.name.startswith(LAYER)]
    client.log_batch(run_id, charted, [Param(*pair) for pair in params.items()])
