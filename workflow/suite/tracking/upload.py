"""A run's frame of results, manifests and journals into MLflow, one run a cell."""

import math
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from suite.artifacts.files import read_json
from suite.plan.cell import Cell
from suite.tracking.journal import read_journal
from suite.tracking.runs import LAYER, Point, log, parameters, runs_of, tags_of
from suite.tracking.store import connect, first_line, leaderboard

if TYPE_CHECKING:
    from mlflow.entities import Run
    from mlflow.tracking import MlflowClient

_COLUMNS = ["model", "method", "sparsity", "seed", "measure", "value"]
_NAMES = {"ppl": "perplexity", "in_domain_ppl": "perplexity_in_domain"}
_DRAWN_STEPS = 320


class _Content(NamedTuple):
    """What MLflow shows of a cell."""

    tags: dict[str, str]
    params: dict[str, str]
    scores: dict[str, float]
    curve: Sequence[Point]


def upload(results: Iterable[Path], folder: Path, run: str, uri: str) -> dict[str, Any]:
    """Make or complete the MLflow run of every cell of the frames `results`.

    `folder` is results/<run>, with the manifests and journals. Repeating this changes nothing; a
    cell that was computed again gets a new run in place of the one that it had. Returns how many
    were `sent` and how many `complete`, and the address of the `leaderboard`. Raises ValueError
    if the store cannot be used now, and for a damaged manifest or journal.
    """
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import SQLAlchemyError

    contents = [_content(run, cell, scores, folder) for cell, scores in _scores(results).items()]
    done: list[bool] = []
    try:
        client, experiment = connect(uri, run)
        for content in contents:
            done.append(_bring(client, experiment, content))
    except (MlflowException, SQLAlchemyError, OSError) as error:
        raise ValueError(
            f"{len(contents) - len(done)} of {len(contents)} cells wait to be recorded in {uri} "
            f"({first_line(error)}). The results themselves are complete. Start the server or free "
            "the database, or unset MLFLOW_TRACKING_URI to record in the results directory; then "
            "run snakemake again."
        ) from error
    counts = {"sent": sum(done), "complete": len(done) - sum(done)}
    return {"uri": uri, **counts, "leaderboard": leaderboard(uri, experiment)}


def _scores(results: Iterable[Path]) -> dict[Cell, dict[str, float]]:
    """The measures of each cell that have a value, under MLflow's names."""
    import pandas as pd

    found: dict[Cell, dict[str, float]] = {}
    for file in results:
        rows = pd.read_parquet(file, columns=_COLUMNS).dropna()
        for *place, measure, value in rows.itertuples(index=False):
            found.setdefault(Cell.at(*place), {})[_NAMES.get(measure, measure)] = value
    return found


def _content(run: str, cell: Cell, scores: dict[str, float], folder: Path) -> _Content:
    tags = tags_of(run, cell)
    manifest = folder / "hardened" / cell.path / "manifest.json"
    recipe = read_json(manifest)["recipe"] if manifest.is_file() else {"masks": {"method": {}}}
    journal = folder / "journals/train" / f"{cell.path}.jsonl"
    curve: list[Point] = []
    if journal.is_file():
        tags["training"], curve = read_journal(journal)
    return _Content(tags, parameters(recipe["masks"]["method"]), scores, curve)


def _bring(client: "MlflowClient", experiment: str, content: _Content) -> bool:
    """Make, complete or renew a cell's run; False if it was complete.

    Scores come last, so that a run which has them all has everything.
    """
    tags, params, scores, curve = content
    there = runs_of(client, experiment, tags)
    ours = next((found for found in there if _fits(found, content)), None)
    begin, end = (curve[0].time, curve[-1].time) if curve else (None, None)
    ours = ours or client.create_run(experiment, begin, tags)
    run_id, metrics = ours.info.run_id, ours.data.metrics
    missing = [name for name in scores if name not in metrics]
    if missing:
        if not _agree(metrics, {p.name: p.value for p in curve if not p.name.startswith(LAYER)}):
            log(client, run_id, _thinned(curve), {})
        if layers := layer_table(curve):
            client.log_text(run_id, layers, "layer_density.csv")
        client.set_terminated(run_id, "FINISHED", end)
        now = time.time_ns() // 1_000_000
        log(client, run_id, [Point(n, scores[n], now, 0) for n in missing], params)
    for other in there:
        if other is not ours:
            client.delete_run(other.info.run_id)
    return bool(missing)


def _thinned(curve: Sequence[Point]) -> Iterator[Point]:
    """Of a long training no more steps than MLflow draws; each costs it a millisecond or two."""
    last = max(point.step for point in curve)
    every = last // _DRAWN_STEPS + 1
    return (point for point in curve if point.step % every == 0 or point.step == last)


def _fits(run: "Run", content: _Content) -> bool:
    """Whether nothing that a run has differs from what the cell has now."""
    tags, params, metrics = run.data.tags, run.data.params, run.data.metrics
    scores = {name: metrics.get(name, value) for name, value in content.scores.items()}
    return (
        all(tags.get(key, value) == value for key, value in content.tags.items())
        and params.items() <= content.params.items()
        and _agree(scores, content.scores)
    )


def _agree(found: Mapping[str, float], wanted: Mapping[str, float]) -> bool:
    return all(name in found and math.isclose(found[name], wanted[name]) for name in wanted)


def layer_table(curve: Sequence[Point]) -> str:
    """The layers' densities as CSV, a row a layer and a column a step; "" where there are none."""
    import pandas as pd

    layers = [point for point in curve if point.name.startswith(LAYER)]
    frame = pd.DataFrame(layers, columns=["layer", "density", "time", "step"])
    frame["layer"] = frame["layer"].str.removeprefix(LAYER)
    table = frame.pivot_table("density", "layer", "step", aggfunc="last", sort=False)
    return str(table.sort_index(axis="columns").to_csv()) if layers else ""
