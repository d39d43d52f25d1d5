"""Journals into runs. A run is found by its tag ``journal.run``."""

import logging
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import astuple, dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from suite.tracking.journal import Point, Record, Start, read_journal
from suite.tracking.shown import charted, layer_table, run_name, summary
from suite.tracking.store import (
    TrackingUnavailable,
    checked_uri,
    connect,
    outage,
    patiently,
    sqlite_path,
)

if TYPE_CHECKING:
    from mlflow.entities import Run
    from mlflow.tracking import MlflowClient

logger = logging.getLogger(__name__)

_PARAM_CHARACTERS = 6000  # the longest value MLflow takes
# MLflow's pages for training models, and not those for applications of language models
_KIND = ("mlflow.experimentKind", "custom_model_development")


@dataclass(frozen=True)
class Uploaded:
    """Counts of one ``upload_all``.

    ``complete`` runs were in the store already. ``killed`` are those of the ``sent`` that have no
    end, ``missing_artifacts`` the files that journals name and that are gone.
    """

    sent: int = 0
    complete: int = 0
    killed: int = 0
    missing_artifacts: int = 0


def upload_all(
    journal_paths: Iterable[str | os.PathLike[str]], uri: str, experiment: str
) -> Uploaded:
    """Make or complete the MLflow run of every journal; repeating it changes nothing.

    A run gets the journal's tags, parameters, metrics and artifacts with their own times, an
    evaluation's ``summary`` or a training's ``layer_table``, its status (KILLED without an end)
    and, once it has an end, the tag ``journal.complete``, by which later uploads skip it. What
    could not be carried over as it is stands in ``journal.note``. Runs that the user deleted in
    MLflow stay deleted. With SQLite, artifacts go to ``mlartifacts`` beside the database; a server
    puts them where it likes.

    Raises TrackingUnavailable if the store cannot be used, ValueError for a malformed journal,
    evaluation or address, or a deleted experiment.
    """
    uri = checked_uri(uri)
    records = [read_journal(path) for path in journal_paths]
    done: list[Uploaded] = []
    try:
        client = connect(uri)
        experiment_id = patiently(partial(find_experiment, client, uri, experiment))
        for record in records:
            done.append(patiently(partial(_upload, client, experiment_id, record)))
    except Exception as error:
        reason = outage(error)
        if reason is None:
            raise
        raise TrackingUnavailable(
            f"{len(records) - len(done)} of {len(records)} runs wait to be recorded in {uri} "
            f"({reason}). The results themselves are complete. Start the server or free the "
            "database, or unset MLFLOW_TRACKING_URI to record in the results directory; then run "
            "snakemake again."
        ) from error
    counts = Uploaded(*map(sum, zip(*map(astuple, done), strict=True)))
    logger.info("MLflow experiment %s: %s", experiment, counts)
    return counts


def find_experiment(client: "MlflowClient", uri: str, name: str) -> str:
    """The id of an experiment, made if need be. Raises ValueError if the user deleted it."""
    from mlflow.exceptions import MlflowException

    experiment = client.get_experiment_by_name(name)
    if experiment is None:
        database = sqlite_path(uri)
        location = None  # a server decides
        if database is not None:
            location = (database.absolute().parent / "mlartifacts" / name).as_uri()
        try:
            return client.create_experiment(name, artifact_location=location, tags=dict([_KIND]))
        except MlflowException:
            # Another process may have made it just now.
            experiment = client.get_experiment_by_name(name)
            if experiment is None:
                raise
    if experiment.lifecycle_stage == "deleted":
        raise ValueError(
            f"MLflow experiment {name} is deleted: bring it back with `mlflow experiments restore "
            f"--experiment-id {experiment.experiment_id}`, or remove it for good with `mlflow gc`"
        )
    if _KIND[0] not in experiment.tags:  # what the user chose stays
        client.set_experiment_tag(experiment.experiment_id, *_KIND)
    return str(experiment.experiment_id)


def open_run(client: "MlflowClient", experiment_id: str, start: Start) -> "Run":
    """The run of a journal, made if there is none. Of several, all but one are deleted.

    Several come from a request to make one that a server answered too late and still obeyed.
    """
    from mlflow.entities import ViewType

    ours = f"tags.`journal.run` = '{start.run}'"
    runs = client.search_runs([experiment_id], ours, run_view_type=ViewType.ALL)
    active = [run for run in runs if run.info.lifecycle_stage == "active"]
    for surplus in active[1:]:
        client.delete_run(surplus.info.run_id)
    if runs:
        return (active or runs)[0]
    # Earlier, killed executions of the same job may have left runs open through live tracking.
    # Their journal is overwritten, so no upload will end them.
    earlier = f"tags.`journal.origin` = '{start.origin}' and attributes.status = 'RUNNING'"
    for run in client.search_runs([experiment_id], earlier):
        client.set_tag(run.info.run_id, "journal.note", "its job was killed and run again")
        client.set_terminated(run.info.run_id, "KILLED")
    tags = {**start.tags, "journal.run": start.run, "journal.origin": start.origin}
    return client.create_run(experiment_id, start.time, tags, run_name=run_name(start.tags))


def send_params(client: "MlflowClient", run_id: str, params: Mapping[str, Any]) -> list[str]:
    """Log parameters; returns a note for each value too long for MLflow, which is cut."""
    from mlflow.entities import Param

    texts = {name: str(value) for name, value in params.items()}
    client.log_batch(
        run_id, params=[Param(name, text[:_PARAM_CHARACTERS]) for name, text in texts.items()]
    )
    return [
        f"parameter {name} cut to {_PARAM_CHARACTERS} characters"
        for name, text in texts.items()
        if len(text) > _PARAM_CHARACTERS
    ]


def send_points(client: "MlflowClient", run_id: str, points: Sequence[Point]) -> None:
    """Log metric points as they are shown; MLflow itself leaves out those it has."""
    from mlflow.entities import Metric

    client.log_batch(run_id, [Metric(p.name, p.value, p.time, p.step) for p in charted(points)])


def _upload(client: "MlflowClient", experiment_id: str, record: Record) -> Uploaded:
    run = open_run(client, experiment_id, record.start)
    if run.data.tags.get("journal.complete") == "true" or run.info.lifecycle_stage == "deleted":
        return Uploaded(complete=1)
    run_id = run.info.run_id
    notes = send_params(client, run_id, record.start.params)
    send_points(client, run_id, [*record.points, *summary(record)])
    if layers := layer_table(record.points):
        client.log_text(run_id, layers, "layer_density.csv")
    missing = _send_artifacts(client, run_id, record.artifacts)
    if missing:
        notes.append(f"artifacts gone before the upload: {', '.join(missing)}")
    if record.status is None:
        notes.append("the journal has no end: its job was killed")
    if record.torn:
        notes.append("the journal's last line was cut short and is left out")
    if notes:
        client.set_tag(run_id, "journal.note", "; ".join(notes))
    client.set_terminated(run_id, record.status or "KILLED", record.end_time)
    if record.status is not None:
        client.set_tag(run_id, "journal.complete", "true")
    return Uploaded(sent=1, killed=record.status is None, missing_artifacts=len(missing))


def _send_artifacts(client: "MlflowClient", run_id: str, artifacts: Iterable[Path]) -> list[str]:
    """Log the files that exist; returns the names of the others."""
    missing = []
    for artifact in artifacts:
        if artifact.is_file():
            client.log_artifact(run_id, str(artifact))
        else:
            missing.append(artifact.name)
    return missing
