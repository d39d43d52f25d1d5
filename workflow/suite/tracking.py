"""Carries journals (``suite.journal``) to MLflow.

The journals are the record, and MLflow is a view of them: ``upload`` can always complete, repair or
repeat what was sent before. A run is found by its tag ``journal.run``. MLflow takes seconds to
import, so that happens when the store is first used.

Stores: SQLite files, and servers over http or https. Credentials in an address are moved into the
environment variables MLflow reads them from; they are neither logged nor stored.
"""

import contextlib
import fcntl
import http.client
import logging
import os
import queue
import random
import sqlite3
import ssl
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import unquote, urlsplit, urlunsplit

from suite.journal import Event, Point, Record, Start, points_of, read_journal, start_of

if TYPE_CHECKING:
    from mlflow.entities import Run
    from mlflow.tracking import MlflowClient

logger = logging.getLogger(__name__)

T = TypeVar("T")

# Limits of MLflow: metrics, and parameters or tags, in one call; characters of a value.
_POINTS_PER_BATCH = 1000
_PARAMS_PER_BATCH = 100
_PARAM_CHARACTERS = 6000

_REACH_SECONDS = 5.0
_LOCKED_SECONDS = 60.0
_LIVE_INTERVAL_SECONDS = 2.0
_LIVE_QUEUE_EVENTS = 10_000

# What the user has set wins. A server that is down must not hold a job for MLflow's default of
# seven retries of two minutes; compute nodes are often offline, so nothing may phone home.
_ENVIRONMENT = {
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
}


class TrackingUnavailable(Exception):
    """The MLflow store cannot be used now; the message says what waits and what to do."""


@dataclass(frozen=True)
class Uploaded:
    """Counts of one ``upload_all``.

    ``complete`` runs were in the store already. ``killed`` are those of the ``sent`` that have no
    end, ``missing_artifacts`` the files that journals name and that are gone.
    """

    sent: int
    complete: int
    killed: int
    missing_artifacts: int


def default_uri(results_directory: str | os.PathLike[str]) -> str:
    """The store to use: MLFLOW_TRACKING_URI if set, or ``mlflow.db`` in the results directory.

    Credentials are taken out of the address. Call this in the job that needs it, not in a rule's
    parameters: the store is no reason to run a job again.
    """
    from_user = os.environ.get("MLFLOW_TRACKING_URI")
    if from_user:
        return _without_credentials(from_user)
    return f"sqlite:///{Path(results_directory).absolute() / 'mlflow.db'}"


def experiment_name(scale: str) -> str:
    """The MLflow experiment that holds the runs of one scale."""
    return f"leap-suite/{scale}"


def initialise_store(uri: str) -> bool:
    """Create the SQLite schema, or bring it up to date; for a server, see whether it answers.

    Returns False, and logs why, if the store cannot be used. Raises ValueError for an address that
    is neither SQLite file nor http(s).
    """
    uri = _checked(uri)
    try:
        _connect(uri)
    except TrackingUnavailable as error:
        logger.warning("no tracking in %s for now: %s", uri, error)
        return False
    return True


def upload(journal_path: str | os.PathLike[str], uri: str, experiment: str) -> Uploaded:
    """Make or complete the MLflow run of one journal; see ``upload_all``."""
    return upload_all([journal_path], uri, experiment)


def upload_all(
    journal_paths: Iterable[str | os.PathLike[str]], uri: str, experiment: str
) -> Uploaded:
    """Make or complete the MLflow run of every journal; repeating it changes nothing.

    A run gets the journal's tags, parameters, metrics and artifacts with their own times, its
    status (KILLED without an end) and, once it has an end, the tag ``journal.complete``, by which
    later uploads skip it. What could not be carried over as it is stands in ``journal.note``. Runs
    that the user deleted in MLflow stay deleted. With SQLite, artifacts go to ``mlartifacts``
    beside the database; a server puts them where it likes.

    Raises TrackingUnavailable if the store cannot be used, ValueError for a malformed journal or
    address, or a deleted experiment.
    """
    uri = _checked(uri)
    records = [read_journal(path) for path in journal_paths]
    sent: list[_Sent] = []
    try:
        client = _connect(uri)
        experiment_id = _patiently(partial(_experiment_id, client, uri, experiment))
        for record in records:
            sent.append(_patiently(partial(_upload, client, experiment_id, record)))
    except Exception as error:
        reason = _outage(error)
        if reason is None:
            raise
        raise TrackingUnavailable(
            f"{len(records) - len(sent)} of {len(records)} runs wait to be recorded in {uri} "
            f"({reason}). The results themselves are complete. Start the server or free the "
            "database, or unset MLFLOW_TRACKING_URI to record in the results directory; then run "
            "snakemake again."
        ) from error
    counts = Uploaded(
        sent=sum(not one.skipped for one in sent),
        complete=sum(one.skipped for one in sent),
        killed=sum(one.killed for one in sent),
        missing_artifacts=sum(one.missing_artifacts for one in sent),
    )
    logger.info("MLflow experiment %s: %s", experiment, counts)
    return counts


class LiveMirror:
    """Sends a journal's events to MLflow while the job works, from a thread of its own.

    For long jobs that someone watches. Whatever goes wrong with the store, the job does not notice:
    events that find the queue full, or the store closed to the end, are left to ``upload``, which
    tells from times and steps what it need not send again. ``close`` waits ``close_seconds`` at
    most for what is queued.

    Raises ValueError for an address that is neither SQLite file nor http(s).
    """

    def __init__(self, uri: str, experiment: str, close_seconds: float = 10.0) -> None:
        self._uri = _checked(uri)
        self._experiment = experiment
        self._close_seconds = close_seconds
        self._queue: queue.Queue[Event] = queue.Queue(_LIVE_QUEUE_EVENTS)
        self._unsent = 0
        self._closing = threading.Event()
        # A daemon, so that one stuck in the store cannot keep the process alive.
        self._thread = threading.Thread(target=self._work, name="live-tracking", daemon=True)
        self._thread.start()

    def send(self, event: Event) -> None:
        """Queue one event; never waits."""
        try:
            self._queue.put_nowait(event)
        except queue.Full:
            self._unsent += 1

    def close(self) -> None:
        """Send what is queued, within ``close_seconds``."""
        self._closing.set()
        self._thread.join(self._close_seconds)
        if self._thread.is_alive() or self._unsent:
            logger.warning("live tracking is behind; the upload after the job completes it")

    def _work(self) -> None:
        """Send batches until closed and empty; after a failure, the same batch again, later."""
        sender = _LiveSender(self._uri, self._experiment)
        batch: list[Event] = []
        pause = _LIVE_INTERVAL_SECONDS
        while True:
            last = self._closing.is_set()
            batch = batch or self._drain()
            try:
                sender.deliver(batch)
            except Exception as error:
                if last:
                    self._unsent += len(batch)
                    return
                logger.warning("live tracking: %s; trying again", _short(error))
                pause = min(2 * pause, 60.0)
            else:
                batch = []
                pause = _LIVE_INTERVAL_SECONDS
                if last and self._queue.empty():
                    return
            self._closing.wait(0 if last else pause)

    def _drain(self) -> list[Event]:
        events: list[Event] = []
        with contextlib.suppress(queue.Empty):
            while len(events) < _POINTS_PER_BATCH:
                events.append(self._queue.get_nowait())
        return events


class _LiveSender:
    """The MLflow side of a ``LiveMirror``; delivering a batch twice does no harm."""

    def __init__(self, uri: str, experiment: str) -> None:
        self._uri = uri
        self._experiment = experiment
        self._client: MlflowClient | None = None
        self._run_id = ""

    def deliver(self, events: Sequence[Event]) -> None:
        if not events:
            return
        if self._client is None:
            self._client = _connect(self._uri)
        for event in events:
            if event["event"] == "start":
                self._open(self._client, start_of(event))
        _send_points(self._client, self._run_id, [p for event in events for p in points_of(event)])
        for event in events:
            if event["event"] == "end":
                self._client.set_terminated(self._run_id, event["status"], event["time"])

    def _open(self, client: "MlflowClient", start: Start) -> None:
        experiment_id = _experiment_id(client, self._uri, self._experiment)
        self._run_id = _open_run(client, experiment_id, start).info.run_id
        _send_params(client, self._run_id, start.params)
        _close_earlier(client, experiment_id, start.origin, self._run_id)


@dataclass(frozen=True)
class _Sent:
    """What became of one journal."""

    skipped: bool = False
    killed: bool = False
    missing_artifacts: int = 0


def _upload(client: "MlflowClient", experiment_id: str, record: Record) -> _Sent:
    run = _open_run(client, experiment_id, record.start)
    if run.data.tags.get("journal.complete") == "true" or run.info.lifecycle_stage == "deleted":
        return _Sent(skipped=True)
    run_id = run.info.run_id
    notes = _send_params(client, run_id, record.start.params)
    _send_points(client, run_id, record.points)
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
    _close_earlier(client, experiment_id, record.start.origin, run_id)
    if record.status is not None:
        client.set_tag(run_id, "journal.complete", "true")
    return _Sent(killed=record.status is None, missing_artifacts=len(missing))


def _open_run(client: "MlflowClient", experiment_id: str, start: Start) -> "Run":
    """The run of a journal, made if there is none. Of several, all but one are deleted.

    Several come from a request to make one that a server answered too late and still obeyed.
    """
    from mlflow.entities import ViewType

    runs = client.search_runs(
        [experiment_id], f"tags.`journal.run` = '{start.run}'", run_view_type=ViewType.ALL
    )
    active = [run for run in runs if run.info.lifecycle_stage == "active"]
    for surplus in active[1:]:
        client.delete_run(surplus.info.run_id)
    if runs:
        return (active or runs)[0]
    tags = {**start.tags, "journal.run": start.run, "journal.origin": start.origin}
    name = " ".join(start.tags.values())
    return client.create_run(experiment_id, start.time, tags, run_name=name)


def _close_earlier(client: "MlflowClient", experiment_id: str, origin: str, run_id: str) -> None:
    """End the runs that earlier, killed executions of the same job left open by live tracking.

    Their journal is overwritten, so no upload will.
    """
    for run in client.search_runs(
        [experiment_id],
        f"tags.`journal.origin` = '{origin}' and attributes.status = 'RUNNING'",
    ):
        if run.info.run_id != run_id:
            client.set_tag(run.info.run_id, "journal.note", "its job was killed and run again")
            client.set_terminated(run.info.run_id, "KILLED")


def _send_params(client: "MlflowClient", run_id: str, params: Mapping[str, Any]) -> list[str]:
    """Log parameters; returns a note for each value too long for MLflow, which is cut."""
    from mlflow.entities import Param

    entities = [Param(name, str(value)[:_PARAM_CHARACTERS]) for name, value in params.items()]
    for first in range(0, len(entities), _PARAMS_PER_BATCH):
        client.log_batch(run_id, params=entities[first : first + _PARAMS_PER_BATCH])
    return [
        f"parameter {name} cut to {_PARAM_CHARACTERS} characters"
        for name, value in params.items()
        if len(str(value)) > _PARAM_CHARACTERS
    ]


def _send_points(client: "MlflowClient", run_id: str, points: Sequence[Point]) -> None:
    """Log metric points; MLflow itself leaves out those it has."""
    from mlflow.entities import Metric

    for first in range(0, len(points), _POINTS_PER_BATCH):
        batch = points[first : first + _POINTS_PER_BATCH]
        client.log_batch(run_id, [Metric(p.name, p.value, p.time, p.step) for p in batch])


def _send_artifacts(client: "MlflowClient", run_id: str, artifacts: Iterable[Path]) -> list[str]:
    """Log the files that exist; returns the names of the others."""
    missing = []
    for artifact in artifacts:
        if artifact.is_file():
            client.log_artifact(run_id, str(artifact))
        else:
            missing.append(artifact.name)
    return missing


def _experiment_id(client: "MlflowClient", uri: str, name: str) -> str:
    from mlflow.exceptions import MlflowException

    experiment = client.get_experiment_by_name(name)
    if experiment is None:
        location = _artifact_location(uri, name)
        try:
            return client.create_experiment(name, artifact_location=location)
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
    return str(experiment.experiment_id)


def _artifact_location(uri: str, experiment: str) -> str | None:
    database = _sqlite_path(uri)
    if database is None:
        return None  # a server decides
    return (database.absolute().parent / "mlartifacts" / experiment).as_uri()


def _connect(uri: str) -> "MlflowClient":
    """A client on a store that is there and whose schema is up to date.

    Raises TrackingUnavailable with the reason.
    """
    database = _sqlite_path(uri)
    try:
        if database is None:
            _reach(uri)
            client = _client(uri)
            client.search_experiments(max_results=1)
            return client
        with _only_process(database):
            _check_writable(database)
            return _sqlite_client(database)
    except Exception as error:
        reason = _outage(error)
        if reason is None:
            raise
        raise TrackingUnavailable(reason) from error


def _client(uri: str) -> "MlflowClient":
    for name, value in _ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    from mlflow.tracking import MlflowClient

    # After the import, which configures them. Errors of the database reach the user as exceptions.
    logging.getLogger("alembic").setLevel(logging.WARNING)
    logging.getLogger("mlflow").setLevel(logging.WARNING)
    logging.getLogger("mlflow.store.db.utils").setLevel(logging.CRITICAL)
    return MlflowClient(uri)


def _sqlite_client(database: Path) -> "MlflowClient":
    """A client on a SQLite store, made or migrated if need be; for one process at a time."""
    if not database.exists():
        # Made aside, because an interrupted creation could not be taken up again.
        draft = database.with_name(database.name + ".new")
        for remains in database.parent.glob(f"{draft.name}*"):
            remains.unlink()
        _client(f"sqlite:///{draft}")
        draft.rename(database)
    uri = f"sqlite:///{database}"
    try:
        return _client(uri)
    except Exception as error:
        if "out-of-date database schema" not in str(error):
            raise
    command = [sys.executable, "-m", "mlflow", "db", "upgrade", uri]
    upgrade = subprocess.run(command, check=False, capture_output=True, text=True)
    if upgrade.returncode != 0:
        cause = upgrade.stderr.strip().rpartition("\n")[2]
        raise TrackingUnavailable(f"its schema does not fit this version of MLflow: {cause}")
    return _client(uri)


@contextlib.contextmanager
def _only_process(database: Path) -> Iterator[None]:
    """Two processes that make or migrate one schema at the same time break each other."""
    database.parent.mkdir(parents=True, exist_ok=True)
    with database.with_name(database.name + ".lock").open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def _check_writable(database: Path) -> None:
    """Ask SQLite itself, since MLflow would retry a locked database for minutes."""
    if not database.exists():
        return
    with contextlib.closing(sqlite3.connect(database, timeout=_REACH_SECONDS)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        connection.rollback()


def _reach(uri: str) -> None:
    """Raise OSError unless something answers; whether it is MLflow, MLflow finds out."""
    try:
        urllib.request.urlopen(uri, timeout=_REACH_SECONDS).close()
    except (urllib.error.HTTPError, http.client.HTTPException):
        return
    except urllib.error.URLError as error:
        # MLflow has settings of its own for certificates.
        if not isinstance(error.reason, ssl.SSLError):
            raise


def _checked(uri: str) -> str:
    """The address without credentials; ValueError if no store can be there."""
    uri = _without_credentials(uri)
    parts = urlsplit(uri)
    if parts.scheme in ("http", "https") and parts.hostname:
        return uri
    if _sqlite_path(uri) not in (None, Path(), Path(":memory:")):
        return uri
    raise ValueError(
        f"{uri!r} is no MLflow store this suite can use: give sqlite:///<file> or "
        "http(s)://<host>:<port> (for another database, start `mlflow server` on it)"
    )


def _sqlite_path(uri: str) -> Path | None:
    return Path(uri.removeprefix("sqlite:///")) if uri.startswith("sqlite:///") else None


def _without_credentials(uri: str) -> str:
    """The address alone; user and password move to where MLflow's client looks for them."""
    parts = urlsplit(uri)
    if "@" in parts.path + parts.query + parts.fragment and parts.netloc:
        # Not shown: what stands before it may be a password.
        raise ValueError("percent-encode /, ? and # in the password of MLFLOW_TRACKING_URI")
    if "@" not in parts.netloc:
        return uri
    userinfo, _, host = parts.netloc.rpartition("@")
    user, _, password = userinfo.partition(":")
    os.environ["MLFLOW_TRACKING_USERNAME"] = unquote(user)
    os.environ["MLFLOW_TRACKING_PASSWORD"] = unquote(password)
    return urlunsplit(parts._replace(netloc=host))


def _outage(error: Exception) -> str | None:
    """Why the store cannot be used; None if the error is not the store's being away or busy."""
    if isinstance(error, TrackingUnavailable | OSError | sqlite3.Error):
        return _short(error)
    # MLflow is not imported here for the sake of a type; requests' exceptions are OSErrors.
    if getattr(error, "error_code", None) in ("TEMPORARILY_UNAVAILABLE", "INTERNAL_ERROR"):
        return _short(error)
    return None


def _short(error: Exception) -> str:
    lines = str(error).splitlines()
    return lines[0][:300] if lines else type(error).__name__


def _patiently(call: Callable[[], T]) -> T:
    """Repeat a call that may be repeated, for a minute, while the database is locked."""
    deadline = time.monotonic() + _LOCKED_SECONDS
    while True:
        try:
            return call()
        except Exception as error:
            if "database is locked" not in str(error) or time.monotonic() > deadline:
                raise
            time.sleep(random.uniform(0.1, 1.0))
