"""Journals reach a real MLflow store whole, and no state of the store reaches the job."""

import contextlib
import math
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from suite.artifacts.files import write_json
from suite.tracking import store as tracking_store
from suite.tracking.journal import Journal, read_journal
from suite.tracking.live import LiveMirror
from suite.tracking.shown import TASKS
from suite.tracking.store import (
    TrackingUnavailable,
    default_uri,
    experiment_name,
    initialise_store,
)
from suite.tracking.upload import Uploaded, upload_all

EXPERIMENT = experiment_name("test")
WORKFLOW = Path(__file__).parents[2] / "workflow"

# Arguments: journal, address of the store, steps, seconds between them, seconds to wait at the end.
# Steps end early when there is a file named as the journal with `.stop`.
LIVE_JOB = f"""
import math, os, sys, time
from suite.tracking.journal import Journal
from suite.tracking.live import LiveMirror
path, uri, steps, pause, close_seconds = sys.argv[1:]
mirror = LiveMirror(uri, {EXPERIMENT!r}, close_seconds=float(close_seconds))
with Journal(path, tags={{"job": path[-9:]}}, params={{"rate": 0.1}}, mirror=mirror) as journal:
    for step in range(int(steps)):
        journal.metrics({{"loss": 1 / (step + 1), "gap": math.nan}}, step=step)
        time.sleep(float(pause))
        if os.path.exists(path + ".stop"):
            break
"""


def start_job(
    path: Path, uri: str, *, steps: int, pause: float, close_seconds: float
) -> subprocess.Popen[str]:
    arguments = [str(path), uri, str(steps), str(pause), str(close_seconds)]
    return subprocess.Popen(
        [sys.executable, "-c", LIVE_JOB, *arguments],
        env={**os.environ, "PYTHONPATH": str(WORKFLOW)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def goes_on(path: Path) -> bool:
    """Whether a job makes steps now."""
    before = len(journal_points(path))
    time.sleep(1)
    return len(journal_points(path)) > before


def stop_job(job: subprocess.Popen[str], path: Path) -> tuple[float, str]:
    """Let a job's steps end: the seconds that it took from there, and what it wrote to stderr."""
    began = time.monotonic()
    path.with_name(path.name + ".stop").touch()
    errors = job.communicate(timeout=120)[1]
    assert job.returncode == 0, errors
    return time.monotonic() - began, errors


def write_journal(path: Path, steps: int = 3) -> Path:
    manifest = path.with_suffix("") / "manifest.json"
    manifest.parent.mkdir(parents=True)
    manifest.write_text('{"sparsity": 0.5}')
    tags = {"stage": "evaluate", "model": "tiny", "method": "leap", "sparsity": "0.6", "seed": "1"}
    with Journal(path, tags=tags, params={"bound": math.inf, "empty": ""}) as journal:
        for step in range(steps):
            journal.metrics({"loss": 1 / (step + 1), "nan": math.nan, "inf": math.inf}, step=step)
        journal.artifact(manifest)
    return path


def rows(uri: str, query: str) -> list[Any]:
    with contextlib.closing(sqlite3.connect(uri.removeprefix("sqlite:///"), timeout=60)) as store:
        return store.execute(query).fetchall()


def content(uri: str) -> dict[str, list[Any]]:
    """Everything in the store that an upload writes."""
    tables = ("runs", "metrics", "latest_metrics", "params", "tags")
    return {table: sorted(rows(uri, f"SELECT * FROM {table}")) for table in tables}


def stored_points(uri: str, journal_path: Path) -> list[Any]:
    run = read_journal(journal_path).start.run
    return rows(
        uri,
        "SELECT m.key, m.step, m.timestamp, CASE WHEN m.is_nan THEN 'nan' ELSE m.value END "
        "FROM metrics m JOIN tags t ON t.run_uuid = m.run_uuid "
        f"WHERE t.key = 'journal.run' AND t.value = '{run}' ORDER BY 1, 2, 3",
    )


def journal_points(journal_path: Path) -> list[Any]:
    points = read_journal(journal_path).points
    return sorted(
        (p.name, p.step, p.time, "nan" if math.isnan(p.value) else p.value) for p in points
    )


def wait_for(condition: Any, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.2)


@contextlib.contextmanager
def locked(uri: str) -> Iterator[None]:
    path = uri.removeprefix("sqlite:///")
    with contextlib.closing(sqlite3.connect(path, timeout=60, isolation_level=None)) as store:
        store.execute("BEGIN EXCLUSIVE")
        yield
        store.rollback()


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@pytest.fixture
def closed_port() -> int:
    return free_port()


@pytest.fixture(scope="module")
def empty_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    results = tmp_path_factory.mktemp("results")
    assert initialise_store(f"sqlite:///{results}/mlflow.db")
    return results / "mlflow.db"


@pytest.fixture
def uri(tmp_path: Path, empty_store: Path) -> str:
    """A store of the test's own; a copy, because making one takes seconds."""
    (tmp_path / "mlflow.db").write_bytes(empty_store.read_bytes())
    return f"sqlite:///{tmp_path}/mlflow.db"


def test_the_address_of_the_store(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    assert default_uri(tmp_path) == f"sqlite:///{tmp_path}/mlflow.db"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://tracker:5000")
    assert default_uri(tmp_path) == "http://tracker:5000"


@pytest.mark.parametrize(
    "uri", ["mlruns", "file:///mlruns", "http://", "sqlite://", "sqlite:///", "sqlite:///:memory:"]
)
def test_addresses_that_are_no_store(uri: str) -> None:
    for use in (
        initialise_store,
        lambda it: upload_all([], it, "e"),
        lambda it: LiveMirror(it, "e"),
    ):
        with pytest.raises(ValueError, match="sqlite:///<file>"):
            use(uri)


def test_credentials_go_where_mlflow_looks_and_nowhere_else(
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    tmp_path: Path,
    closed_port: int,
) -> None:
    for name in ("MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD"):
        monkeypatch.setenv(name, "")
    secret = f"http://ada:s3cr%2Ft@127.0.0.1:{closed_port}"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", secret)
    assert default_uri(tmp_path) == f"http://127.0.0.1:{closed_port}"
    assert os.environ["MLFLOW_TRACKING_USERNAME"] == "ada"
    assert os.environ["MLFLOW_TRACKING_PASSWORD"] == "s3cr/t"
    assert not initialise_store(secret)
    with pytest.raises(TrackingUnavailable) as failure:
        upload_all([write_journal(tmp_path / "j.jsonl")], secret, EXPERIMENT)
    for wrong in ("postgresql://ada:s3cr@host/db", "http://ada:s3cr/t@host", "http://a:s3cr#t@h"):
        with pytest.raises(ValueError, match=r"sqlite:///<file>|percent-encode") as complaint:
            initialise_store(wrong)
        assert "s3cr" not in str(complaint.value)
    assert "s3cr" not in caplog.text + str(failure.value)


def test_a_server_that_is_down(tmp_path: Path, closed_port: int) -> None:
    uri = f"http://127.0.0.1:{closed_port}"
    began = time.monotonic()
    mirror = LiveMirror(uri, EXPERIMENT)
    with Journal(tmp_path / "live.jsonl", tags={}, params={}, mirror=mirror) as journal:
        for step in range(1000):
            journal.metrics({"loss": 1.0}, step=step)
    assert time.monotonic() - began < 3
    assert len(read_journal(journal.path).points) == 1000

    assert not initialise_store(uri)
    journals = [write_journal(tmp_path / "a.jsonl"), journal.path]
    with pytest.raises(TrackingUnavailable) as failure:
        upload_all(journals, uri, EXPERIMENT)
    assert str(failure.value) == (
        f"2 of 2 runs wait to be recorded in {uri} (<urlopen error [Errno 111] Connection "
        "refused>). The results themselves are complete. Start the server or free the database, "
        "or unset MLFLOW_TRACKING_URI to record in the results directory; then run snakemake again."
    )


def test_a_server_that_does_not_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tracking_store, "_REACH_SECONDS", 1.0)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        uri = f"http://127.0.0.1:{silent.getsockname()[1]}"
        began = time.monotonic()
        mirror = LiveMirror(uri, EXPERIMENT, close_seconds=0.5)
        with Journal(tmp_path / "j.jsonl", tags={}, params={}, mirror=mirror) as journal:
            journal.metrics({"loss": 1.0})
        assert time.monotonic() - began < 2
        with pytest.raises(TrackingUnavailable, match="1 of 1 runs wait"):
            upload_all([journal.path], uri, EXPERIMENT)


@pytest.mark.heavy
def test_upload_is_faithful_and_repeatable(tmp_path: Path, uri: str) -> None:
    journals = [write_journal(tmp_path / f"{number}.jsonl") for number in range(3)]
    assert upload_all(journals, uri, EXPERIMENT) == Uploaded(3, 0, 0, 0)
    for journal in journals:
        expected = journal_points(journal)
        # MLflow holds no infinities: its largest number stands for them.
        largest = sys.float_info.max
        expected = [(*p[:3], largest if p[3] == math.inf else p[3]) for p in expected]
        assert stored_points(uri, journal) == expected
    record, name = read_journal(journals[0]), "tiny leap 0.6 evaluate seed 1"
    assert (record.start.time, record.end_time, "FINISHED", name) in rows(
        uri, "SELECT start_time, end_time, status, name FROM runs"
    )
    assert sorted(rows(uri, "SELECT DISTINCT key, value FROM params")) == [
        ("bound", "Infinity"),
        ("empty", ""),
    ]
    artifacts = list((tmp_path / "mlartifacts" / "leap-suite" / "test").rglob("manifest.json"))
    assert [one.read_text() for one in artifacts] == ['{"sparsity": 0.5}'] * 3

    before = content(uri)
    assert upload_all(journals, uri, EXPERIMENT) == Uploaded(0, 3, 0, 0)
    assert content(uri) == before
    # As if the first upload had broken off just before its last step.
    with contextlib.closing(sqlite3.connect(tmp_path / "mlflow.db")) as store, store:
        store.execute("DELETE FROM tags WHERE key = 'journal.complete'")
        store.execute("DELETE FROM metrics WHERE step = 1")
    assert upload_all(journals[:1], uri, EXPERIMENT) == Uploaded(1, 0, 0, 0)
    upload_all(journals, uri, EXPERIMENT)
    assert content(uri) == before


@pytest.mark.heavy
def test_more_than_mlflow_takes_at_once(tmp_path: Path, uri: str) -> None:
    params = {f"p{number}": number for number in range(250)}
    with Journal(tmp_path / "j.jsonl", tags={}, params={**params, "long": "x" * 7000}) as journal:
        for step in range(2500):
            journal.metrics({"loss": float(step)}, step=step)
    upload_all([journal.path], uri, EXPERIMENT)
    assert stored_points(uri, journal.path) == journal_points(journal.path)
    assert rows(uri, "SELECT count(*), max(length(value)) FROM params") == [(251, 6000)]
    assert rows(uri, "SELECT value FROM tags WHERE key = 'journal.note'") == [
        ("parameter long cut to 6000 characters",)
    ]


@pytest.mark.heavy
def test_the_experiment_is_one_of_training_models(tmp_path: Path, uri: str) -> None:
    journals = [write_journal(tmp_path / f"{number}.jsonl") for number in range(3)]
    kinds = "SELECT value FROM experiment_tags WHERE key = 'mlflow.experimentKind'"
    upload_all(journals[:1], uri, EXPERIMENT)
    assert rows(uri, kinds) == [("custom_model_development",)]
    # an experiment of an earlier version of the suite
    with contextlib.closing(sqlite3.connect(tmp_path / "mlflow.db")) as store, store:
        store.execute("DELETE FROM experiment_tags")
    upload_all(journals[:2], uri, EXPERIMENT)
    assert rows(uri, kinds) == [("custom_model_development",)]
    with contextlib.closing(sqlite3.connect(tmp_path / "mlflow.db")) as store, store:
        store.execute("UPDATE experiment_tags SET value = 'finetuning'")
    upload_all(journals, uri, EXPERIMENT)
    assert rows(uri, kinds) == [("finetuning",)]


@pytest.mark.heavy
def test_what_mlflow_shows_of_a_training_and_an_evaluation(tmp_path: Path, uri: str) -> None:
    tags = {"model": "tiny", "method": "dense", "sparsity": "0.0", "seed": "0"}
    tasks = {task: {"acc": 0.75, "chance": 0.25} for task in TASKS}
    evaluation = tmp_path / "evaluations/tiny/dense/0.0.json"
    write_json(evaluation, {"tasks": tasks})
    with Journal(tmp_path / "evaluate.jsonl", tags=tags, params={}) as evaluate:
        evaluate.metrics({"ppl": 7.0, **dict.fromkeys(TASKS, 75.0)})
        evaluate.artifact(evaluation)
    mirror = LiveMirror(uri, EXPERIMENT, close_seconds=60)
    with Journal(tmp_path / "train.jsonl", tags=tags, params={}, mirror=mirror) as train:
        train.metrics({"loss": 2.0, "density/layers.0": 0.5})
    summed = {"average": 75.0, "recovered_share": 100.0, "perplexity": 7.0}
    shown = {**dict.fromkeys(TASKS, 75.0), **summed, "loss": 2.0}
    for _ in range(2):
        upload_all([evaluate.path, train.path], uri, EXPERIMENT)
        assert dict(rows(uri, "SELECT key, value FROM metrics")) == shown
        (table,) = (tmp_path / "mlartifacts").rglob("layer_density.csv")
        assert table.read_text() == "layer,0\nlayers.0,0.5\n"


def fill(folder: Path, uri: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "suite.tracking.fill", str(folder)],
        env={**os.environ, "PYTHONPATH": str(WORKFLOW), "MLFLOW_TRACKING_URI": uri},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.heavy
def test_a_store_is_filled_from_a_copied_folder(tmp_path: Path, uri: str) -> None:
    write_journal(tmp_path / "results/paper/journals/evaluate/0.jsonl")
    write_journal(tmp_path / "results/paper/journals/train/leap/0.jsonl")
    (tmp_path / "results").rename(tmp_path / "copied")
    for sent, there in ((2, ""), (0, "; 2 were there")):
        done = fill(tmp_path / "copied/paper", uri)
        said = f"{sent} runs sent to {uri}, experiment leap-suite/paper{there}\n"
        assert done.stdout == said, done.stderr
    assert rows(uri, "SELECT name FROM experiments ORDER BY 1")[1:] == [("leap-suite/paper",)]
    assert rows(uri, "SELECT count(*) FROM runs WHERE status = 'FINISHED'") == [(2,)]


def test_a_folder_without_journals_fills_nothing(tmp_path: Path) -> None:
    done = fill(tmp_path, f"sqlite:///{tmp_path}/mlflow.db")
    assert (done.returncode, done.stderr) == (
        1,
        f"{tmp_path}/journals has no journals: give a run's folder, results/<run>\n",
    )
    assert list(tmp_path.iterdir()) == []


@pytest.mark.heavy
def test_a_cut_journal_and_lost_artifacts_are_told(tmp_path: Path, uri: str) -> None:
    journal = write_journal(tmp_path / "j.jsonl")
    (tmp_path / "j" / "manifest.json").unlink()
    journal.write_bytes(journal.read_bytes()[:-10])
    for _ in range(2):
        assert upload_all([journal], uri, EXPERIMENT) == Uploaded(1, 0, 1, 1)
    record = read_journal(journal)
    assert rows(uri, "SELECT status, end_time FROM runs") == [("KILLED", record.end_time)]
    tags = dict(rows(uri, "SELECT key, value FROM tags"))
    assert "journal.complete" not in tags
    assert tags["journal.note"] == (
        "artifacts gone before the upload: manifest.json; the journal has no end: its job was "
        "killed; the journal's last line was cut short and is left out"
    )


@pytest.mark.heavy
def test_what_the_user_deleted_stays_deleted(tmp_path: Path, uri: str) -> None:
    journals = [write_journal(tmp_path / f"{number}.jsonl") for number in range(2)]
    upload_all(journals[:1], uri, EXPERIMENT)
    with contextlib.closing(sqlite3.connect(tmp_path / "mlflow.db")) as store, store:
        store.execute("UPDATE runs SET lifecycle_stage = 'deleted'")
    assert upload_all(journals, uri, EXPERIMENT) == Uploaded(1, 1, 0, 0)
    with contextlib.closing(sqlite3.connect(tmp_path / "mlflow.db")) as store, store:
        store.execute("UPDATE experiments SET lifecycle_stage = 'deleted'")
    with pytest.raises(ValueError, match=f"experiment {EXPERIMENT} is deleted"):
        upload_all(journals, uri, EXPERIMENT)


@pytest.mark.heavy
def test_four_jobs_live_at_once_on_a_store_yet_to_be_made(tmp_path: Path) -> None:
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    journals = [tmp_path / f"{number}.jsonl" for number in range(4)]
    jobs = [start_job(one, uri, steps=200, pause=0.01, close_seconds=150) for one in journals]
    for job in jobs:
        assert job.communicate(timeout=240)[1] == ""
        assert job.returncode == 0
    assert rows(uri, "SELECT status, count(*) FROM runs GROUP BY 1") == [("FINISHED", 4)]
    for journal in journals:
        assert len(journal_points(journal)) == 400
        assert stored_points(uri, journal) == journal_points(journal)
    live = content(uri)
    assert upload_all(journals, uri, EXPERIMENT) == Uploaded(4, 0, 0, 0)
    after = content(uri)
    assert [after[table] == live[table] for table in live if table != "tags"] == [True] * 4
    assert len(after["tags"]) == len(live["tags"]) + 4  # journal.complete


@pytest.mark.heavy
def test_a_store_locked_under_a_live_job(tmp_path: Path, uri: str) -> None:
    journal = tmp_path / "j.jsonl"
    job = start_job(journal, uri, steps=10_000, pause=0.05, close_seconds=1)
    wait_for(lambda: rows(uri, "SELECT count(*) FROM metrics") != [(0,)])
    with locked(uri):
        time.sleep(3)  # until the job has met the lock; it sends every other second
        assert goes_on(journal), "the job waits for its store"
        seconds, errors = stop_job(job, journal)
        assert seconds < 15, "the job waited for its store"
        assert "the upload after the job completes it" in errors
        assert read_journal(journal).status == "FINISHED"
        with (
            pytest.MonkeyPatch.context() as patch,
            pytest.raises(TrackingUnavailable, match=r"1 of 1 runs wait .*database is locked"),
        ):
            patch.setattr(tracking_store, "_REACH_SECONDS", 0.1)
            upload_all([journal], uri, EXPERIMENT)
    assert rows(uri, "SELECT status FROM runs") == [("RUNNING",)]
    assert len(stored_points(uri, journal)) < len(journal_points(journal))
    assert upload_all([journal], uri, EXPERIMENT) == Uploaded(1, 0, 0, 0)
    assert stored_points(uri, journal) == journal_points(journal)
    assert rows(uri, "SELECT status FROM runs") == [("FINISHED",)]


@pytest.mark.heavy
def test_a_live_job_killed_and_run_again(tmp_path: Path, uri: str) -> None:
    journal = tmp_path / "j.jsonl"
    job = start_job(journal, uri, steps=10_000, pause=0.05, close_seconds=1)
    wait_for(lambda: rows(uri, "SELECT count(*) FROM metrics") != [(0,)])
    job.send_signal(signal.SIGKILL)
    job.communicate()
    assert rows(uri, "SELECT status FROM runs") == [("RUNNING",)]
    journal.unlink()  # as Snakemake does with the log of a job it runs again
    write_journal(journal)
    upload_all([journal], uri, EXPERIMENT)
    assert rows(uri, "SELECT status FROM runs ORDER BY start_time") == [("KILLED",), ("FINISHED",)]


@pytest.mark.heavy
def test_a_store_of_an_older_mlflow_is_migrated(
    tmp_path: Path, uri: str, caplog: pytest.LogCaptureFixture
) -> None:
    from alembic import command
    from alembic.script import ScriptDirectory
    from mlflow.store.db.utils import _get_alembic_config

    (tmp_path / "mlflow.db").unlink()
    config = _get_alembic_config(uri)
    scripts = ScriptDirectory.from_config(config)
    head = scripts.get_current_head()
    assert head is not None
    create_initial_tables(uri)
    command.upgrade(config, str(scripts.get_revision(head).down_revision))
    assert initialise_store(uri)
    assert rows(uri, "SELECT version_num FROM alembic_version") == [(head,)]
    assert upload_all([write_journal(tmp_path / "j.jsonl")], uri, EXPERIMENT).sent == 1

    # A copy, because MLflow looks at the schema of a file once a process.
    (tmp_path / "newer.db").write_bytes((tmp_path / "mlflow.db").read_bytes())
    with contextlib.closing(sqlite3.connect(tmp_path / "newer.db")) as store, store:
        store.execute("UPDATE alembic_version SET version_num = 'from_the_future'")
    assert not initialise_store(f"sqlite:///{tmp_path}/newer.db")
    assert "its schema does not fit this version of MLflow" in caplog.text
    assert "from_the_future" in caplog.text


def create_initial_tables(uri: str) -> None:
    import sqlalchemy
    from mlflow.store.tracking.dbmodels.initial_models import Base

    engine = sqlalchemy.create_engine(uri)
    Base.metadata.create_all(engine)
    engine.dispose()


@contextlib.contextmanager
def serving(tmp_path: Path, port: int) -> Iterator[str]:
    """A real MLflow server on this port; one that is started again has the same store."""
    address = f"http://127.0.0.1:{port}"
    with (tmp_path / "server.log").open("w") as log:
        process = subprocess.Popen(
            [
                *(sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1"),
                *("--port", str(port), "--workers", "1"),
                *("--backend-store-uri", f"sqlite:///{tmp_path}/server.db"),
                *("--artifacts-destination", str(tmp_path / "artifacts")),
            ],
            stdout=log,
            stderr=log,
            env={**os.environ, "MLFLOW_DISABLE_TELEMETRY": "true"},
            start_new_session=True,
        )
    try:
        wait_for(lambda: answers(f"{address}/health"), seconds=120)
        yield address
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(timeout=30)


def answers(address: str) -> bool:
    with contextlib.suppress(OSError):
        return bool(urllib.request.urlopen(address, timeout=5).status == 200)
    return False


@dataclass
class Restarted:
    """A server that was restarted under a live job, and what became of the job."""

    address: str
    uri: str  # of its store
    artifacts: Path
    journal: Path
    went_on: bool  # without the server
    seconds: float  # from the last step to the end
    errors: str


@pytest.fixture(scope="module")
def restarted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Restarted]:
    folder, port = tmp_path_factory.mktemp("server"), free_port()
    uri, journal = f"sqlite:///{folder}/server.db", folder / "j.jsonl"
    with serving(folder, port) as address:
        assert initialise_store(address)
        job = start_job(journal, address, steps=10_000, pause=0.05, close_seconds=1)
        wait_for(lambda: rows(uri, "SELECT count(*) FROM metrics") != [(0,)])
    time.sleep(2)  # without a server
    went_on = goes_on(journal)
    with serving(folder, port):
        seconds, errors = stop_job(job, journal)
        yield Restarted(address, uri, folder / "artifacts", journal, went_on, seconds, errors)


@pytest.mark.heavy
def test_a_server_restarted_under_a_live_job(restarted: Restarted) -> None:
    assert restarted.went_on and restarted.seconds < 15, f"it waited: {restarted.errors}"
    assert read_journal(restarted.journal).status == "FINISHED"
    upload_all([restarted.journal], restarted.address, EXPERIMENT)
    expected = journal_points(restarted.journal)
    assert stored_points(restarted.uri, restarted.journal) == expected
    run = read_journal(restarted.journal).start.run
    assert rows(
        restarted.uri,
        "SELECT status FROM runs WHERE run_uuid = "
        f"(SELECT run_uuid FROM tags WHERE key = 'journal.run' AND value = '{run}')",
    ) == [("FINISHED",)]


@pytest.mark.heavy
def test_a_real_server(tmp_path: Path, restarted: Restarted) -> None:
    server, uri = restarted.address, restarted.uri
    journals = [write_journal(tmp_path / "0.jsonl"), tmp_path / "1.jsonl"]
    job = start_job(journals[1], server, steps=100, pause=0.01, close_seconds=60)
    assert job.communicate(timeout=120)[1] == ""
    assert stored_points(uri, journals[1]) == journal_points(journals[1])

    assert upload_all(journals, server, EXPERIMENT) == Uploaded(2, 0, 0, 0)
    assert len(stored_points(uri, journals[0])) == 9
    (artifact,) = restarted.artifacts.rglob("manifest.json")
    assert artifact.read_text() == '{"sparsity": 0.5}'
    before = content(uri)
    assert upload_all(journals, server, EXPERIMENT) == Uploaded(0, 2, 0, 0)
    with contextlib.closing(sqlite3.connect(uri.removeprefix("sqlite:///"))) as store, store:
        runs = [read_journal(journal).start.run for journal in journals]
        store.execute(
            "DELETE FROM tags WHERE key = 'journal.complete' AND run_uuid IN "
            "(SELECT run_uuid FROM tags WHERE key = 'journal.run' AND value IN (?, ?))",
            runs,
        )
    assert upload_all(journals, server, EXPERIMENT) == Uploaded(2, 0, 0, 0)
    assert content(uri) == before
