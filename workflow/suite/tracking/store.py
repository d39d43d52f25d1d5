"""The MLflow store, a SQLite file or a server, and in it the experiment of a run."""

import fcntl
import json
import logging
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

from suite.artifacts.files import replacing

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient

_SQLITE = "sqlite:///"

# What the user has set wins. A server that is down must not hold a job for MLflow's default of
# seven retries of two minutes; compute nodes are often offline, so nothing may phone home.
_ENVIRONMENT = {
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1",
    "MLFLOW_DISABLE_TELEMETRY": "true",
}

# MLflow's list of runs as the address of `leaderboard` opens it: a view such as users save there,
# which MLflow keeps in a tag of the experiment. Columns are else in the memory of each browser.
# Versions before 3.17 read the same keys beside `state`.
_WIDTHS = {
    "tags.`model`": 140, "tags.`method`": 140, "tags.`sparsity`": 80, "metrics.`average`": 90,
    "metrics.`perplexity`": 100, "metrics.`recovered_share`": 120, "metrics.`wall_seconds`": 90,
}  # fmt: skip
_VIEW = {
    "orderByKey": "metrics.`average`",
    "orderByAsc": False,
    "selectedColumns": list(_WIDTHS),
    "columnOrder": list(_WIDTHS),
    "columnWidths": _WIDTHS,
}
_SAVED = {**_VIEW, "name": "Leaderboard", "createdAt": 0, "state": json.dumps(_VIEW)}
_TAGS = {
    # MLflow's pages for training models, and not those for applications of language models
    "mlflow.experimentKind": "custom_model_development",
    "mlflow.sharedViewState.leaderboard": json.dumps(_SAVED),
}


def store_uri() -> str:
    """The store: MLFLOW_TRACKING_URI if set, or `results/mlflow.db`. Raises ValueError for others.

    Call this in the job that needs it, not in a rule's parameters: the store is no reason to run a
    job again.
    """
    local = f"{_SQLITE}{Path('results/mlflow.db').absolute()}"
    uri = os.environ.get("MLFLOW_TRACKING_URI") or local
    if not re.fullmatch(f"{_SQLITE}(?!:memory:).+|https?://[^@/]+[^@]*", uri):
        raise ValueError(  # which does not show the address: it may hold a password
            f"MLFLOW_TRACKING_URI: give {_SQLITE}<file> or http(s)://<host>:<port>, with user and "
            "password in MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD (for another "
            "database, start `mlflow server` on it)"
        )
    return uri


def connect(uri: str, run: str) -> "tuple[MlflowClient, str]":
    """A client, and the id of the experiment that holds a run's cells; made if need be."""
    name = f"leap-suite/{run}"
    if not uri.startswith(_SQLITE):
        client = _client(uri)
        return client, _experiment(client, name, None)
    database = Path(uri.removeprefix(_SQLITE)).absolute()
    database.parent.mkdir(parents=True, exist_ok=True)
    # Two processes that make one schema at the same time break each other.
    with database.with_name(database.name + ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not database.exists():
            # Made aside, because an interrupted creation could not be taken up again.
            with replacing(database) as draft:
                _client(f"{_SQLITE}{draft}")
        client = _client(uri)
        return client, _experiment(client, name, (database.parent / "mlartifacts" / name).as_uri())


def leaderboard(uri: str, experiment: str) -> str:
    """The address of an experiment's runs in MLflow; a SQLite file's as `make ui` serves it."""
    server = "http://127.0.0.1:5000" if uri.startswith(_SQLITE) else uri
    view = "viewStateShareKey=leaderboard&workflowType=machine_learning"
    return f"{server}/#/experiments/{experiment}/runs?{view}"


def first_line(error: Exception) -> str:
    """What an exception says, short enough for a log."""
    return (str(error).splitlines() or [type(error).__name__])[0][:300]


def _client(uri: str) -> "MlflowClient":
    for name, value in _ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    from mlflow.tracking import MlflowClient

    # After the import, which configures them. Errors reach the user as exceptions.
    for name in ("alembic", "mlflow"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    return MlflowClient(uri)


def _experiment(client: "MlflowClient", name: str, artifacts: str | None) -> str:
    experiment = client.get_experiment_by_name(name)
    if experiment is None:
        return client.create_experiment(name, artifact_location=artifacts, tags=_TAGS)
    for key, value in _TAGS.items():
        if key not in experiment.tags:  # what the user chose stays
            client.set_experiment_tag(experiment.experiment_id, key, value)
    return str(experiment.experiment_id)
