"""MLflow store, a SQLite file or a server, with one experiment per run of the suite."""

import fcntl
import json
import logging
import os
import re
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from leap_suite.artifacts.files import replacing

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient

_SQLITE = "sqlite:///"

# Defaults; the user's variables win. A server that is down must not block a job (MLflow retries
# seven times for two minutes each), and compute nodes are often offline.
_ENVIRONMENT = {
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1",
    "MLFLOW_DISABLE_TELEMETRY": "true",
}

# MLflow's saved view of the list of runs, which `leaderboard` opens: MLflow has no other way to
# choose columns for all browsers. Versions before 3.17 read these keys beside `state`.
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
_MLFLOW_VIEW = {**_VIEW, "name": "Leaderboard", "createdAt": 0, "state": json.dumps(_VIEW)}
_TAGS = {
    # MLflow's pages for training models, not for applications of language models
    "mlflow.experimentKind": "custom_model_development",
    "mlflow.sharedViewState.leaderboard": json.dumps(_MLFLOW_VIEW),
}


def store_uri() -> str:
    """URI of the store: MLFLOW_TRACKING_URI, or `results/mlflow.db`. Raises ValueError for others.

    Call this in a job, not in a rule's parameters: another store is no reason to run jobs again.
    """
    local = f"{_SQLITE}{Path('results/mlflow.db').absolute()}"
    uri = os.environ.get("MLFLOW_TRACKING_URI") or local
    if not re.fullmatch(f"{_SQLITE}(?!:memory:).+|https?://[^@/]+[^@]*", uri):
        raise ValueError(  # without the URI: it may contain a password
            f"MLFLOW_TRACKING_URI: give {_SQLITE}<file> or http(s)://<host>:<port>, with user and "
            "password in MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD (for another "
            "database, start `mlflow server` on it)"
        )
    return uri


def connect(uri: str, run: str) -> "tuple[MlflowClient, str]":
    """Client, and id of the experiment that holds a run's cells; created if missing."""
    for variable, value in _ENVIRONMENT.items():
        os.environ.setdefault(variable, value)
    from mlflow.exceptions import MlflowException
    from mlflow.tracking import MlflowClient

    for logger in ("alembic", "mlflow"):  # after the import, which configures them
        logging.getLogger(logger).setLevel(logging.CRITICAL)
    name, artifacts = f"leap-suite/{run}", None
    if uri.startswith(_SQLITE):
        database = Path(uri.removeprefix(_SQLITE)).absolute()
        artifacts = (database.parent / "mlartifacts" / name).as_uri()
        database.parent.mkdir(parents=True, exist_ok=True)
        with database.with_name(database.name + ".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not database.exists():
                # Under a temporary name: MLflow cannot resume a creation that was interrupted.
                with replacing(database) as draft:
                    MlflowClient(f"{_SQLITE}{draft}")
    client = MlflowClient(uri)
    if client.get_experiment_by_name(name) is None:
        with suppress(MlflowException):  # another job may have created it by now
            client.create_experiment(name, artifact_location=artifacts, tags=_TAGS)
    experiment = client.get_experiment_by_name(name)
    assert experiment is not None, name
    return client, str(experiment.experiment_id)


def leaderboard(uri: str, experiment: str) -> str:
    """Address of an experiment's runs in MLflow, as `make ui` serves it for a SQLite file."""
    server = "http://127.0.0.1:5000" if uri.startswith(_SQLITE) else uri
    view = "viewStateShareKey=leaderboard&workflowType=machine_learning"
    return f"{server}/#/experiments/{experiment}/runs?{view}"


def first_line(error: Exception) -> str:
    """First line of an error message, at most 300 characters."""
    return (str(error).splitlines() or [type(error).__name__])[0][:300]
