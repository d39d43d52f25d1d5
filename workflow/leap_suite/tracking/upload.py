"""Upload of a run's frame of results, manifests and journals to MLflow, one run per cell.

    PYTHONPATH=.:workflow python -m leap_suite.tracking.upload results/<run>

uploads a folder by hand, for example after copying it from another machine. The store is
MLFLOW_TRACKING_URI, or `results/mlflow.db`. A repetition sends only new cells.
"""

import math
import sys
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from leap_suite.artifacts.files import read_json
from leap_suite.plan.cell import Cell
from leap_suite.tracking.journal import read_journal
from leap_suite.tracking.runs import LAYER, Point, begin, log, parameters, runs_of, tags_of
from leap_suite.tracking.store import connect, first_line, leaderboard, store_uri

if TYPE_CHECKING:
    from mlflow.entities import Run
    from mlflow.tracking import MlflowClient

_NAMES = {"ppl": "perplexity", "in_domain_ppl": "perplexity_in_domain"}
_DRAWN_STEPS = 320


class _Content(NamedTuple):
    """Content of a cell's MLflow run."""

    tags: dict[str, str]
    params: dict[str, str]
    scores: dict[str, float]
    curve: Sequence[Point]


def upload(results: Iterable[Path], folder: Path, run: str, uri: str) -> dict[str, Any]:
    """Upload every cell of the frames `results` that MLflow does not have as it is now.

    `folder` is results/<run>, with manifests and journals. The run of a cell that was computed
    again is replaced. Returns the numbers of cells `sent` and already `complete`, and the address
    of the `leaderboard`. Raises ValueError if the store is not available, and for a damaged
    manifest or journal.
    """
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import SQLAlchemyError

    contents = [_content(run, cell, scores, folder) for cell, scores in _scores(results).items()]
    sent: list[bool] = []
    try:
        client, experiment = connect(uri, run)
        for content in contents:
            sent.append(_send(client, experiment, content))
    except (MlflowException, SQLAlchemyError, OSError) as error:
        raise ValueError(
            f"{len(contents) - len(sent)} of {len(contents)} cells wait to be recorded in {uri} "
            f"({first_line(error)}). The results themselves are complete. Start the server or free "
            "the database, or unset MLFLOW_TRACKING_URI to record in the results directory; then "
            "run snakemake again."
        ) from error
    counts = {"sent": sum(sent), "complete": len(sent) - sum(sent)}
    return {"uri": uri, **counts, "leaderboard": leaderboard(uri, experiment)}


def _scores(results: Iterable[Path]) -> dict[Cell, dict[str, float]]:
    """Measures of each cell by their MLflow names, and standard errors, without missing values."""
    import pandas as pd

    found: dict[Cell, dict[str, float]] = {}
    for file in results:
        rows = pd.read_parquet(
            file, columns=["model", "method", "sparsity", "seed", "measure", "value", "stderr"]
        )
        for *cell, measure, value, stderr in rows.itertuples(index=False):
            name, scores = _NAMES.get(measure, measure), found.setdefault(Cell.at(*cell), {})
            known = {name: value, f"{name}_stderr": stderr}
            scores |= {key: each for key, each in known.items() if not math.isnan(each)}
    return found


def _content(run: str, cell: Cell, scores: dict[str, float], folder: Path) -> _Content:
    tags = tags_of(run, cell)
    manifest = folder / "hardened" / cell.path / "manifest.json"
    settings = read_json(manifest)["recipe"]["masks"]["method"] if manifest.is_file() else {}
    journal = folder / "journals/train" / f"{cell.path}.jsonl"
    curve: list[Point] = []
    if journal.is_file():
        tags["training"], curve = read_journal(journal)
    return _Content(tags, parameters(settings), scores, curve)


def _send(client: "MlflowClient", experiment: str, content: _Content) -> bool:
    """Upload a cell unless MLflow has it. Scores come last: a run that has them is complete."""
    tags, params, scores, curve = content
    if any(_is_complete(run, content) for run in runs_of(client, experiment, tags)):
        return False
    start, end = (curve[0].time, curve[-1].time) if curve else (None, None)
    run_id = begin(client, experiment, tags, scores, start)
    # about as many steps as MLflow draws; it stores a point in a millisecond or two
    last = max((point.step for point in curve), default=0)
    every = last // _DRAWN_STEPS + 1
    drawn = (point for point in curve if point.step % every == 0 or point.step == last)
    log(client, run_id, drawn, params)
    if layers := layer_table(curve):
        client.log_text(run_id, layers, "layer_density.csv")
    client.set_terminated(run_id, "FINISHED", end)
    now = time.time_ns() // 1_000_000
    log(client, run_id, [Point(name, value, now, 0) for name, value in scores.items()], {})
    return True


def _is_complete(run: "Run", content: _Content) -> bool:
    """Whether an MLflow run has this content; it may have more scores, from the grid's frame."""
    tags, params, metrics = run.data.tags, run.data.params, run.data.metrics
    return (
        content.tags.items() <= tags.items()
        and content.params == params
        and all(math.isclose(metrics.get(n, math.nan), v) for n, v in content.scores.items())
    )


def layer_table(curve: Sequence[Point]) -> str:
    """Densities of the layers as CSV, one row per layer, one column per step; "" without layers."""
    import pandas as pd

    layers = [point for point in curve if point.name.startswith(LAYER)]
    frame = pd.DataFrame(layers, columns=["layer", "density", "time", "step"])
    frame["layer"] = frame["layer"].str.removeprefix(LAYER)
    table = frame.pivot_table("density", "layer", "step", aggfunc="last", sort=False)
    return str(table.sort_index(axis="columns").to_csv()) if layers else ""


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    folder = Path(sys.argv[1])
    results = [*folder.glob("results.parquet"), *sorted(folder.glob("studies/*/results.parquet"))]
    if not results:
        sys.exit(f"{folder} has no results.parquet: give a run's folder, results/<run>")
    try:
        done = upload(results, folder, folder.resolve().name, store_uri())
    except ValueError as error:
        sys.exit(str(error))
    print(f"{done['sent']} cells sent, {done['complete']} already complete: {done['leaderboard']}")
