"""A cell is one run in a real MLflow store, and no state of the store reaches a training."""

import contextlib
import json
import math
import os
import re
import signal
import socket
import sqlite3
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from suite.plan.cell import Cell
from suite.tracking.journal import open_journal, read_journal
from suite.tracking.store import connect
from suite.tracking.upload import upload
from tests.unit.report.browser import CHROMIUM, needs_chromium

WORKFLOW = Path(__file__).parents[2] / "workflow"
DENSE, LEAP, WANDA = Cell.dense("t"), Cell("t", "leap", "0.6", 1), Cell("t", "wanda", "0.6")
DENSES, LEAPS, WANDAS = "t dense 0.0", "t leap 0.6 seed 1", "t wanda 0.6"  # their names in MLflow
SETTINGS = {"rate": 0.1, "tau": [1, 0.05], "bound": "", "calibration": {"sequences": 8}}
SCORES = {"ppl": 7.5, "in_domain_ppl": 9.25, "average": 50.1, "piqa": 60.3, "wall_seconds": 12.5}

# Arguments: journal, method, steps, seconds between them, seconds to wait at the end. Steps end
# early when there is a file named as the journal with `.stop`.
TRAINING = f"""
import math, os, sys, time
from suite.plan.cell import Cell
from suite.tracking import live
from suite.tracking.journal import open_journal
path, method, *numbers = sys.argv[1:]
steps, pause, live._CLOSE_SECONDS = map(float, numbers)
with open_journal(path, "test", Cell("t", method, "0.6", 1), {SETTINGS!r}) as record:
    for step in range(int(steps)):
        record({{"lm_loss": 1 / (step + 1), "gap": math.nan}}, step)
        time.sleep(pause)
        if os.path.exists(path + ".stop"):
            break
    if steps < 0:
        raise ValueError("no steps")
"""


def journal_of(folder: Path, cell: Cell) -> Path:
    path = folder / "journals/train" / f"{cell.path}.jsonl"
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def start_training(
    folder: Path, uri: str, method: str = "leap", *, steps: int, pause: float, close: float
) -> subprocess.Popen[str]:
    path = journal_of(folder, Cell("t", method, "0.6", 1))
    variables = {"MLFLOW_TRACKING_URI": uri, "LEAP_SUITE_LIVE_TRACKING": "1"}
    return subprocess.Popen(
        [sys.executable, "-c", TRAINING, str(path), method, str(steps), str(pause), str(close)],
        env={**os.environ, "PYTHONPATH": str(WORKFLOW), **variables},
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def steps_in(path: Path) -> int:
    """How many steps a journal has by now."""
    return path.read_bytes().count(b"\n") - 1


def goes_on(path: Path) -> bool:
    """Whether a training makes steps now."""
    before = steps_in(path)
    time.sleep(1)
    return steps_in(path) > before


def stop(training: subprocess.Popen[str], path: Path) -> tuple[float, str]:
    """Let a training's steps end: the seconds that it took from there, and what it wrote."""
    began = time.monotonic()
    path.with_name(path.name + ".stop").touch()
    errors = training.communicate(timeout=120)[1]
    assert training.returncode == 0, errors
    return time.monotonic() - began, errors


def write_results(folder: Path, cells: Mapping[Cell, Mapping[str, float]]) -> Path:
    """The frame of results, and manifests of what is pruned."""
    rows = [
        (cell.model, cell.method, cell.target, cell.seed, measure, value)
        for cell, scores in cells.items()
        for measure, value in scores.items()
    ]
    folder.mkdir(parents=True, exist_ok=True)
    columns = ["model", "method", "sparsity", "seed", "measure", "value"]
    pd.DataFrame(rows, columns=columns).to_parquet(folder / "results.parquet")
    for cell in cells.keys() - {DENSE}:
        manifest = folder / "hardened" / cell.path / "manifest.json"
        manifest.parent.mkdir(parents=True, exist_ok=True)
        manifest.write_text(json.dumps({"recipe": {"masks": {"method": SETTINGS}}}))
    return folder


def train(folder: Path, steps: int = 3) -> None:
    """LEAP's training, which is not followed."""
    with open_journal(str(journal_of(folder, LEAP)), "test", LEAP, SETTINGS) as record:
        for step in range(steps):
            record({"lm_loss": 1 / (step + 1), "gap": math.nan, "inf": math.inf}, step)
            record({"density/layers.0": 0.5}, step)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A run of three cells."""
    train(tmp_path / "test")
    dense = {**SCORES, "recovered_share": math.nan}
    return write_results(tmp_path / "test", {DENSE: dense, LEAP: SCORES, WANDA: SCORES})


def send(folder: Path, uri: str) -> tuple[int, int]:
    """How many runs were sent, and how many complete already."""
    done = upload([folder / "results.parquet"], folder, "test", uri)
    return done["sent"], done["complete"]


def rows(uri: str, query: str) -> list[Any]:
    with contextlib.closing(sqlite3.connect(uri.removeprefix("sqlite:///"), timeout=60)) as store:
        return store.execute(query).fetchall()


def change(uri: str, *statements: str) -> None:
    with contextlib.closing(sqlite3.connect(uri.removeprefix("sqlite:///"))) as store, store:
        for statement in statements:
            store.execute(statement)


def active(uri: str) -> dict[str, tuple[str, str]]:
    """Status and id of the runs that are listed, by name; no name is there twice."""
    found = rows(uri, "SELECT name, status, run_uuid FROM runs WHERE lifecycle_stage = 'active'")
    assert len({name for name, *_ in found}) == len(found), found
    return {name: (status, run_id) for name, status, run_id in found}


def content(uri: str) -> dict[str, list[Any]]:
    """Everything in the store that an upload writes."""
    tables = ("runs", "metrics", "latest_metrics", "params", "tags")
    return {table: sorted(rows(uri, f"SELECT * FROM {table}")) for table in tables}


def curve_in(uri: str, run_id: str) -> list[Any]:
    return rows(
        uri,
        "SELECT key, step, timestamp, CASE WHEN is_nan THEN 'nan' ELSE value END FROM metrics "
        f"WHERE run_uuid = '{run_id}' AND key IN ('lm_loss', 'gap', 'inf') ORDER BY 1, 2",
    )


def curve_of(folder: Path, cell: Cell = LEAP) -> list[Any]:
    """As MLflow has it: without layers' densities, and the largest number for infinity."""
    _, points = read_journal(journal_of(folder, cell))
    return sorted(
        (p.name, p.step, p.time, "nan" if math.isnan(p.value) else min(p.value, sys.float_info.max))
        for p in points
        if not p.name.startswith("density/")
    )


def wait_for(condition: Callable[[], bool], seconds: float = 60) -> None:
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


@pytest.fixture(scope="module")
def empty_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    results = tmp_path_factory.mktemp("results")
    connect(f"sqlite:///{results}/mlflow.db", "other")
    return results / "mlflow.db"


@pytest.fixture
def uri(tmp_path: Path, empty_store: Path) -> str:
    """A store of the test's own; a copy, because making one takes seconds."""
    (tmp_path / "mlflow.db").write_bytes(empty_store.read_bytes())
    return f"sqlite:///{tmp_path}/mlflow.db"


@pytest.mark.heavy
def test_a_cell_is_one_run_with_everything(folder: Path, uri: str) -> None:
    assert send(folder, uri) == (3, 0)
    runs = active(uri)
    assert {name: status for name, (status, _) in runs.items()} == dict.fromkeys(
        (LEAPS, WANDAS, DENSES), "FINISHED"
    )
    scores = {"perplexity": 7.5, "perplexity_in_domain": 9.25} | SCORES
    del scores["ppl"], scores["in_domain_ppl"]
    params = {
        "rate": "0.1", "tau": "[1, 0.05]", "bound": "", "calibration.sequences": "8",
    }  # fmt: skip
    for cell, name in ((LEAP, LEAPS), (WANDA, WANDAS), (DENSE, DENSES)):
        of_run = f"WHERE run_uuid = '{runs[name][1]}'"
        found = dict(rows(uri, f"SELECT key, value FROM latest_metrics {of_run}"))
        assert scores.items() <= found.items()
        assert dict(rows(uri, f"SELECT key, value FROM params {of_run}")) == (
            {} if cell == DENSE else params
        )
        tags = dict(rows(uri, f"SELECT key, value FROM tags {of_run}"))
        assert tags.pop("training", None) == (
            read_journal(journal_of(folder, LEAP))[0] if cell == LEAP else None
        )
        assert tags == {
            "run": "test", "model": "t", "method": cell.method, "sparsity": cell.sparsity,
            "seed": str(cell.seed), "mlflow.runName": name,
            "evaluation": f"results/test/evaluations/{cell.path}.json",
            "checkpoint": f"results/test/hardened/{cell.path}",
        }  # fmt: skip
    run_id, curve = runs[LEAPS][1], curve_of(folder)
    assert curve_in(uri, run_id) == curve
    times = sorted(point[2] for point in curve)
    (began, ended) = rows(uri, f"SELECT start_time, end_time FROM runs WHERE name = '{LEAPS}'")[0]
    assert (began, ended >= times[-1]) == (times[0], True)
    (table,) = (folder.parent / "mlartifacts/leap-suite/test").rglob("layer_density.csv")
    assert table.read_text() == "layer,0,1,2\nlayers.0,0.5,0.5,0.5\n"

    before = content(uri)
    assert send(folder, uri) == (0, 3)
    assert content(uri) == before


@pytest.mark.heavy
def test_an_upload_that_broke_off_is_completed(folder: Path, uri: str) -> None:
    send(folder, uri)
    run_id = active(uri)[LEAPS][1]
    change(
        uri,
        f"DELETE FROM metrics WHERE run_uuid = '{run_id}' AND (step > 1 OR key = 'average')",
        f"DELETE FROM latest_metrics WHERE run_uuid = '{run_id}' AND key = 'average'",
        "UPDATE latest_metrics SET step = 1, value = 0.5 WHERE key = 'lm_loss'",
        f"DELETE FROM params WHERE run_uuid = '{run_id}'",
    )
    assert send(folder, uri) == (1, 2)
    assert active(uri)[LEAPS] == ("FINISHED", run_id)
    assert curve_in(uri, run_id) == curve_of(folder)
    assert rows(uri, f"SELECT count(*) FROM params WHERE run_uuid = '{run_id}'") == [(4,)]
    assert send(folder, uri) == (0, 3)


@pytest.mark.heavy
@pytest.mark.parametrize("renewed", ["evaluation", "settings", "training"])
def test_a_cell_that_was_computed_again_gets_a_new_run(
    folder: Path, uri: str, renewed: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    send(folder, uri)
    before = active(uri)
    cells = {DENSE: SCORES, LEAP: SCORES, WANDA: SCORES}
    if renewed == "evaluation":
        cells[LEAP] = SCORES | {"piqa": 60.4}
    elif renewed == "settings":
        monkeypatch.delitem(SETTINGS, "rate")
        cells = {LEAP: SCORES}
    else:
        train(folder, steps=4)
    write_results(folder, cells)
    assert send(folder, uri) == (1, len(cells) - 1)
    after = active(uri)
    assert {name for name in before if before[name] != after[name]} == {LEAPS}
    assert curve_in(uri, after[LEAPS][1]) == curve_of(folder)
    assert send(folder, uri) == (0, len(cells))


@pytest.mark.heavy
def test_a_study_without_the_dense_model_takes_no_share_away(folder: Path, uri: str) -> None:
    write_results(folder, {WANDA: SCORES})
    send(folder, uri)
    run = active(uri)
    for cells, expected in (
        ({WANDA: SCORES | {"recovered_share": 90.0}}, (1, 0)), ({WANDA: SCORES}, (0, 1)),
    ):  # fmt: skip
        write_results(folder, cells)
        assert send(folder, uri) == expected
        assert active(uri) == run
    shares = "SELECT value FROM latest_metrics WHERE key = 'recovered_share'"
    assert rows(uri, shares) == [(90.0,)]


@pytest.mark.heavy
def test_a_long_training_has_as_many_steps_as_mlflow_draws(folder: Path, uri: str) -> None:
    train(folder, steps=1000)
    send(folder, uri)
    steps = [step for (step,) in rows(uri, "SELECT step FROM metrics WHERE key = 'lm_loss'")]
    assert sorted(steps) == [*range(0, 1000, 4), 999]


@pytest.mark.heavy
def test_a_store_of_another_mlflow_is_told_with_the_way_on(folder: Path, uri: str) -> None:
    change(uri, "UPDATE alembic_version SET version_num = '451aebb31d03'")  # MLflow 1.0
    with pytest.raises(ValueError, match=r"3 of 3 cells wait .*run 'mlflow db upgrade"):
        send(folder, uri)


@pytest.mark.heavy
def test_the_runs_of_jobs_of_an_earlier_version_give_way(folder: Path, uri: str) -> None:
    client, experiment = connect(uri, "test")
    old = {"run": "test", "model": "t", "method": "wanda", "sparsity": "0.6", "seed": "0"}
    for stage in ("prune", "evaluate"):
        name = f"t wanda 0.6 {stage}"
        client.create_run(experiment, tags={**old, "stage": stage}, run_name=name)
    send(folder, uri)
    assert set(active(uri)) == {LEAPS, WANDAS, DENSES}


def fill(folder: Path, uri: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "suite.tracking.fill", str(folder)],
        env={**os.environ, "PYTHONPATH": str(WORKFLOW), "MLFLOW_TRACKING_URI": uri},
        capture_output=True, text=True, check=False,
    )  # fmt: skip


@pytest.mark.heavy
def test_a_store_is_filled_from_a_copied_folder(folder: Path, uri: str) -> None:
    study = {Cell("t", "wanda", "0.7"): SCORES, WANDA: SCORES}
    write_results(folder / "studies/sweep", study)
    folder.rename(folder.with_name("copied"))
    for said in ("4 cells sent, 0 were there: ", "0 cells sent, 4 were there: "):
        done = fill(folder.with_name("copied"), uri)
        assert done.stdout.startswith(said), done.stderr
    assert "leap-suite/copied" in {name for (name,) in rows(uri, "SELECT name FROM experiments")}
    assert set(active(uri)) == {LEAPS, WANDAS, DENSES, "t wanda 0.7"}


def test_a_folder_without_results_fills_nothing(tmp_path: Path) -> None:
    done = fill(tmp_path, f"sqlite:///{tmp_path}/mlflow.db")
    said = f"{tmp_path} has no results.parquet: give a run's folder, results/<run>\n"
    assert (done.returncode, done.stderr) == (1, said)
    assert list(tmp_path.iterdir()) == []


def test_a_server_that_is_down(folder: Path) -> None:
    uri = f"http://127.0.0.1:{free_port()}"
    training = start_training(folder, uri, steps=1000, pause=0, close=1)
    began = time.monotonic()
    assert "live tracking" in training.communicate(timeout=60)[1]
    assert (training.returncode, steps_in(journal_of(folder, LEAP))) == (0, 1000)
    assert time.monotonic() - began < 30, "it waited"
    waiting = rf"^3 of 3 cells wait to be recorded in {uri} \(.*\). The results themselves are"
    with pytest.raises(ValueError, match=waiting):
        send(folder, uri)


@pytest.mark.heavy
def test_a_server_that_does_not_answer(folder: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        uri = f"http://127.0.0.1:{silent.getsockname()[1]}"
        training = start_training(folder, uri, steps=10_000, pause=0.02, close=0.5)
        path = journal_of(folder, LEAP)
        wait_for(lambda: path.is_file() and steps_in(path) > 100)
        seconds, errors = stop(training, path)
        assert seconds < 10, "the training waited"
        assert "live tracking is behind; the rule `tracking` completes it" in errors


@pytest.mark.heavy
def test_four_live_trainings_at_once_on_a_store_yet_to_be_made(tmp_path: Path) -> None:
    folder, uri = tmp_path / "test", f"sqlite:///{tmp_path}/mlflow.db"
    cells = {f"m{number}": Cell("t", f"m{number}", "0.6", 1) for number in range(4)}
    trainings = [
        start_training(folder, uri, method, steps=200, pause=0.01, close=150) for method in cells
    ]
    for training in trainings:
        assert training.communicate(timeout=240)[1] == ""
    live = active(uri)
    assert {status for status, _ in live.values()} == {"FINISHED"}
    for method, cell in cells.items():
        run_id = live[f"t {method} 0.6 seed 1"][1]
        assert len(curve_of(folder, cell)) == 400
        assert curve_in(uri, run_id) == curve_of(folder, cell)
    curves = rows(uri, "SELECT * FROM metrics ORDER BY run_uuid, key, step")
    write_results(folder, dict.fromkeys(cells.values(), SCORES))
    assert send(folder, uri) == (4, 0)
    assert active(uri) == live, "it is the run that was followed"
    after = rows(uri, "SELECT * FROM metrics ORDER BY run_uuid, key, step")
    assert set(curves) <= set(after) and len(after) == len(curves) + 4 * len(SCORES)


@pytest.mark.heavy
def test_a_store_locked_under_a_live_training(folder: Path, uri: str) -> None:
    training = start_training(folder, uri, steps=10_000, pause=0.05, close=1)
    wait_for(lambda: rows(uri, "SELECT count(*) FROM metrics") != [(0,)])
    path = journal_of(folder, LEAP)
    with locked(uri):
        time.sleep(3)  # until it has met the lock; it sends every other second
        assert goes_on(path), "the training waits for its store"
        seconds, errors = stop(training, path)
        assert seconds < 15 and "live tracking" in errors, errors
        with pytest.raises(ValueError, match=r"3 of 3 cells wait .*database is locked"):
            send(folder, uri)
    ((status, run_id),) = active(uri).values()
    assert status == "RUNNING"
    assert len(curve_in(uri, run_id)) < len(curve_of(folder))
    assert send(folder, uri) == (3, 0)
    assert active(uri)[LEAPS] == ("FINISHED", run_id)
    assert curve_in(uri, run_id) == curve_of(folder)


@pytest.mark.heavy
@pytest.mark.parametrize("followed", [True, False])
def test_a_killed_and_repeated_training_leaves_one_run(
    folder: Path, uri: str, followed: bool
) -> None:
    training = start_training(folder, uri, steps=10_000, pause=0.05, close=1)
    wait_for(lambda: rows(uri, "SELECT count(*) FROM metrics") != [(0,)])
    training.send_signal(signal.SIGKILL)
    training.communicate()
    ((status, killed),) = active(uri).values()
    assert status == "RUNNING"
    if followed:
        repeated = start_training(folder, uri, steps=5, pause=0, close=60)
        assert repeated.communicate(timeout=120)[1] == ""
    else:
        train(folder)
    send(folder, uri)
    assert set(active(uri)) == {LEAPS, WANDAS, DENSES}
    status, run_id = active(uri)[LEAPS]
    assert (status, run_id == killed) == ("FINISHED", False)
    assert curve_in(uri, run_id) == curve_of(folder)


@pytest.mark.heavy
def test_a_training_that_fails_is_told(tmp_path: Path, uri: str) -> None:
    training = start_training(tmp_path, uri, steps=-1, pause=0, close=60)
    assert "ValueError: no steps" in training.communicate(timeout=60)[1]
    assert [status for status, _ in active(uri).values()] == ["FAILED"]


@contextlib.contextmanager
def serving(folder: Path, port: int) -> Iterator[str]:
    """A real MLflow server on this port; one that is started again has the same store."""
    address = f"http://127.0.0.1:{port}"
    with (folder / "server.log").open("w") as log:
        process = subprocess.Popen(
            [
                *(sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1"),
                *("--port", str(port), "--workers", "1"),
                *("--backend-store-uri", f"sqlite:///{folder}/server.db"),
                *("--artifacts-destination", str(folder / "artifacts")),
            ],
            stdout=log, stderr=log, start_new_session=True,
            env={**os.environ, "MLFLOW_DISABLE_TELEMETRY": "true"},
        )  # fmt: skip
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


@dataclass(frozen=True)
class Restarted:
    """A server that was restarted under a live training, and what became of that."""

    address: str
    uri: str  # of its store
    folder: Path
    went_on: bool  # without the server
    seconds: float  # from the last step to the end


@pytest.fixture(scope="module")
def restarted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Restarted]:
    place, port = tmp_path_factory.mktemp("server"), free_port()
    folder, uri = place / "test", f"sqlite:///{place}/server.db"
    path = journal_of(folder, LEAP)
    with serving(place, port) as address:
        connect(address, "test")
        training = start_training(folder, address, steps=10_000, pause=0.05, close=1)
        wait_for(lambda: rows(uri, "SELECT count(*) FROM metrics") != [(0,)])
    time.sleep(2)  # without a server
    went_on = goes_on(path)
    with serving(place, port):
        seconds, _ = stop(training, path)
        yield Restarted(address, uri, folder, went_on, seconds)


@pytest.mark.heavy
def test_a_server_restarted_under_a_live_training(restarted: Restarted) -> None:
    folder, uri = restarted.folder, restarted.uri
    assert restarted.went_on and restarted.seconds < 15, "the training waited"
    write_results(folder, {DENSE: SCORES, LEAP: SCORES, WANDA: SCORES})
    ((_, run_id),) = active(uri).values()
    assert send(folder, restarted.address) == (3, 0)
    assert active(uri)[LEAPS] == ("FINISHED", run_id)
    assert curve_in(uri, run_id)[-1] == curve_of(folder)[-1]
    before = content(uri)
    assert send(folder, restarted.address) == (0, 3)
    assert content(uri) == before


@pytest.mark.heavy
@needs_chromium
def test_the_first_columns_of_the_leaderboard(restarted: Restarted, tmp_path: Path) -> None:
    write_results(restarted.folder, {DENSE: SCORES, LEAP: SCORES, WANDA: SCORES})
    results = [restarted.folder / "results.parquet"]
    board = upload(results, restarted.folder, "test", restarted.address)["leaderboard"]
    page = subprocess.run(
        [
            str(CHROMIUM), "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run",
            "--disable-background-networking", f"--user-data-dir={tmp_path}",
            "--window-size=1900,1000", "--virtual-time-budget=60000", "--dump-dom", board,
        ],
        capture_output=True, text=True, timeout=300, check=True,
    ).stdout  # fmt: skip
    found = set(re.findall(r'aria-colindex="(\d+)" col-id="((?:tags|metrics)\.`\w+`)"', page))
    assert [name for _, name in sorted(found)[:5]] == [
        "tags.`model`", "tags.`method`", "tags.`sparsity`",
        "metrics.`average`", "metrics.`perplexity`",
    ]  # fmt: skip
