"""The MLflow store: its address, making or reaching it, and patience while others hold it.

A store is a SQLite file, or a server over http or https. Credentials in an address are moved into
the environment variables MLflow reads them from; they are neither logged nor stored.
"""

import contextlib
import fcntl
import http.client
import logging
import os
import random
import sqlite3
import ssl
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import unquote, urlsplit, urlunsplit

from suite.artifacts.files import replacing

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient

logger = logging.getLogger(__name__)

T = TypeVar("T")

_REACH_SECONDS = 5.0
_LOCKED_SECONDS = 60.0

# What the user has set wins. A server that is down must not hold a job for MLflow's default of
# seven retries of two minutes; compute nodes are often offline, so nothing may phone home.
_ENVIRONMENT = {
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1",
    "MLFLOW_DISABLE_TELEMETRY": "true",
}


class TrackingUnavailable(Exception):
    """The MLflow store cannot be used now; the message says why, and what waits and what to do."""


def default_uri(results_directory: str | os.PathLike[str]) -> str:
    """The store to use: MLFLOW_TRACKING_URI if set, or ``mlflow.db`` in the results directory.

    Credentials are taken out of the address. Call this in the job that needs it, not in a rule's
    parameters: the store is no reason to run a job again. Raises ValueError as ``checked_uri``.
    """
    local = f"sqlite:///{Path(results_directory).absolute() / 'mlflow.db'}"
    return checked_uri(os.environ.get("MLFLOW_TRACKING_URI") or local)


def experiment_name(run: str) -> str:
    """The MLflow experiment that holds the jobs of one run of the suite."""
    return f"leap-suite/{run}"


def initialise_store(uri: str) -> bool:
    """Create the SQLite schema, or bring it up to date; for a server, see whether it answers.

    Returns False, and logs why, if the store cannot be used. Raises ValueError as ``checked_uri``.
    """
    uri = checked_uri(uri)
    try:
        connect(uri)
    except Exception as error:
        reason = outage(error)
        if reason is None:
            raise
        logger.warning("no tracking in %s for now: %s", uri, reason)
        return False
    return True


def checked_uri(uri: str) -> str:
    """The address alone; user and password move to where MLflow's client looks for them.

    Raises ValueError for an address that is neither SQLite file nor http(s).
    """
    parts = urlsplit(uri)
    if parts.netloc and "@" in parts.path + parts.query + parts.fragment:
        # Not shown: what stands before it may be a password.
        raise ValueError("percent-encode /, ? and # in the password of MLFLOW_TRACKING_URI")
    if "@" in parts.netloc:
        userinfo, _, host = parts.netloc.rpartition("@")
        user, _, password = userinfo.partition(":")
        os.environ["MLFLOW_TRACKING_USERNAME"] = unquote(user)
        os.environ["MLFLOW_TRACKING_PASSWORD"] = unquote(password)
        uri = urlunsplit(parts._replace(netloc=host))
    if parts.scheme in ("http", "https") and parts.hostname:
        return uri
    if sqlite_path(uri) not in (None, Path(), Path(":memory:")):
        return uri
    raise ValueError(
        f"{uri!r} is no MLflow store this suite can use: give sqlite:///<file> or "
        "http(s)://<host>:<port> (for another database, start `mlflow server` on it)"
    )


def sqlite_path(uri: str) -> Path | None:
    """The file of a SQLite store, None for any other."""
    return Path(uri.removeprefix("sqlite:///")) if uri.startswith("sqlite:///") else None


def connect(uri: str) -> "MlflowClient":
    """A client on a store that is there and whose schema is up to date.

    Raises an exception that ``outage`` explains if the store cannot be used.
    """
    database = sqlite_path(uri)
    if database is None:
        _reach(uri)
        client = _client(uri)
        client.search_experiments(max_results=1)
        return client
    database.parent.mkdir(parents=True, exist_ok=True)
    # Two processes that make or migrate one schema at the same time break each other.
    with database.with_name(database.name + ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        return _sqlite_client(database)


def outage(error: Exception) -> str | None:
    """Why the store cannot be used; None if the error is not the store's being away or busy."""
    away = isinstance(error, TrackingUnavailable | OSError | sqlite3.Error)
    # MLflow is not imported here for the sake of a type; requests' exceptions are OSErrors.
    busy = getattr(error, "error_code", None) in ("TEMPORARILY_UNAVAILABLE", "INTERNAL_ERROR")
    return first_line(error) if away or busy else None


def first_line(error: Exception) -> str:
    """What an exception says, short enough for a log."""
    return (str(error).splitlines() or [type(error).__name__])[0][:300]


def patiently(call: Callable[[], T]) -> T:
    """Repeat a call that may be repeated, for a minute, while the database is locked."""
    deadline = time.monotonic() + _LOCKED_SECONDS
    while True:
        try:
            return call()
        except Exception as error:
            if "database is locked" not in str(error) or time.monotonic() > deadline:
                raise
            time.sleep(random.uniform(0.1, 1.0))


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
    if database.exists():
        # Ask SQLite itself, since MLflow would retry a locked database for minutes.
        with contextlib.closing(sqlite3.connect(database, timeout=_REACH_SECONDS)) as connection:
            connection.execute("BEGIN IMMEDIATE")
    else:
        # Made aside, because an interrupted creation could not be taken up again.
        with replacing(database) as draft:
            _client(f"sqlite:///{draft}")
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
