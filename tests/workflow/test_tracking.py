"""One run per cell in a real MLflow store, and no state of the store reaches a training."""

import contextlib
import json
import math
import os
import re
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from mlflow.entities import Run
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient

from leap_suite.plan.cell import Cell
from leap_suite.tracking.journal import open_journal, read_journal
from leap_suite.tracking.store import connect
from leap_suite.tracking.upload import upload
from tests.workflow.held import wait_until

WORKFLOW = Path(__file__).parents[2] / "workflow"
DENSE, LEAP, WANDA = Cell.dense("t"), Cell("t", "leap", "0.6", 1), Cell("t", "wanda", "0.6")
NAMES = {DENSE: "t dense 0.0", LEAP: "t leap 0.6 seed 1", WANDA: "t wanda 0.6"}
SETTINGS = {"rate": 0.1, "tau": [1, 0.05], "bound": "", "calibration": {"sequences": 8}}
PARAMS = {"rate": "0.1", "tau": "[1, 0.05]", "bound": "", "calibration.sequences": "8"}
SCORES = {"ppl": 7.5, "in_domain_ppl": 9.25, "average": 50.1, "piqa": 60.3, "wall_seconds": 12.5}
ERRORS = {"ppl": 0.25, "piqa": 1.5}
ALL = dict.fromkeys(NAMES, SCORES)

# Arguments: journal, method, steps, seconds between steps, seconds to wait for the store at the
# end. The steps end early when there is a file with the journal's name and `.stop`.
TRAINING = f"""
import math, os, sys, time
from leap_suite.plan.cell import Cell
from leap_suite.tracking import live
from leap_suite.tracking.journal import open_journal
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


def journal_of(folder: Path, cell: Cell = LEAP) -> Path:
    path = folder / "journals/train" / f"{cell.path}.jsonl"
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


class Training:
    """A training in a process of its own, with a live curve."""

    def __init__(
        self, folder: Path, uri: str, steps: int = 10_000, pause: float = 0.05, close: float = 1,
        method: str = "leap",
    ) -> None:  # fmt: skip
        self.journal = journal_of(folder, Cell("t", method, "0.6", 1))
        arguments = [str(self.journal), method, str(steps), str(pause), str(close)]
        variables = {"MLFLOW_TRACKING_URI": uri, "LEAP_SUITE_LIVE_TRACKING": "1"}
        self.process = subprocess.Popen(
            [sys.executable, "-c", TRAINING, *arguments],
            env={**os.environ, "PYTHONPATH": str(WORKFLOW), **variables},
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip

    def steps(self) -> int:
        """Number of steps in the journal by now."""
        return self.journal.read_bytes().count(b"\n") - 1 if self.journal.is_file() else 0

    def makes_steps(self) -> bool:
        before = self.steps()
        time.sleep(1)
        return self.steps() > before

    def end(self) -> str:
        """Wait for the end; returns the standard error."""
        return self.process.communicate(timeout=240)[1]

    def stop(self) -> tuple[float, str]:
        """Let the steps end; returns the seconds from then to the end, and the standard error."""
        began = time.monotonic()
        self.journal.with_name(self.journal.name + ".stop").touch()
        errors = self.end()
        assert self.process.returncode == 0, errors
        return time.monotonic() - began, errors


def write_results(folder: Path, cells: Mapping[Cell, Mapping[str, float]]) -> Path:
    """Write the frame of results, and manifests of pruned cells."""
    rows = [
        (cell.model, cell.method, cell.target, cell.seed, measure, value, ERRORS.get(measure))
        for cell, scores in cells.items()
        for measure, value in scores.items()
    ]
    folder.mkdir(parents=True, exist_ok=True)
    columns = ["model", "method", "sparsity", "seed", "measure", "value", "stderr"]
    pd.DataFrame(rows, columns=columns).to_parquet(folder / "results.parquet")
    for cell in cells.keys() - {DENSE}:
        manifest = folder / "hardened" / cell.path / "manifest.json"
        manifest.parent.mkdir(parents=True, exist_ok=True)
        manifest.write_text(json.dumps({"recipe": {"masks": {"method": SETTINGS}}}))
    return folder


def train(folder: Path, steps: int = 3) -> None:
    """LEAP's training without a live curve."""
    with open_journal(str(journal_of(folder)), "test", LEAP, SETTINGS) as record:
        for step in range(steps):
            record({"lm_loss": 1 / (step + 1), "gap": math.nan}, step)
            record({"density/layers.0": 0.5}, step)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A run of three cells."""
    train(tmp_path / "test")
    dense = {**SCORES, "recovered_share": math.nan}
    return write_results(tmp_path / "test", {**ALL, DENSE: dense})


@pytest.fixture(scope="module")
def empty_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    results = tmp_path_factory.mktemp("results")
    connect(f"sqlite:///{results}/mlflow.db", "other")
    return results / "mlflow.db"


@pytest.fixture
def uri(tmp_path: Path, empty_store: Path) -> str:
    """An empty store; a copy, because MLflow needs seconds to create one."""
    shutil.copy(empty_store, tmp_path / "mlflow.db")
    return f"sqlite:///{tmp_path}/mlflow.db"


def send(folder: Path, uri: str) -> tuple[int, int]:
    """Upload; returns the numbers of cells that were sent, and that were complete already."""
    done = upload([folder / "results.parquet"], folder, "test", uri)
    return done["sent"], done["complete"]


def runs(uri: str, run: str = "test") -> dict[str, Run]:
    """Runs that MLflow lists, by name; no name occurs twice."""
    client, experiment = connect(uri, run)
    found = list(client.search_runs([experiment]))
    assert len({run.info.run_name for run in found}) == len(found), found
    return {str(run.info.run_name): run for run in found}


def ids(uri: str) -> dict[str, str]:
    return {name: run.info.run_id for name, run in runs(uri).items()}


def curve_in(uri: str, run_id: str) -> list[Any]:
    client = MlflowClient(uri)
    history = [p for name in ("gap", "lm_loss") for p in client.get_metric_history(run_id, name)]
    return sorted((p.key, p.step, p.timestamp, str(p.value)) for p in history)


def curve_of(folder: Path, cell: Cell = LEAP) -> list[Any]:
    """Curve of the journal as MLflow stores it: without densities of layers."""
    points = read_journal(journal_of(folder, cell))[1]
    return sorted((p.name, p.step, p.time, str(p.value)) for p in points if "/" not in p.name)


def has_points(uri: str) -> bool:
    return any(run.data.metrics for run in runs(uri).values())


@contextlib.contextmanager
def locked(uri: str) -> Iterator[None]:
    path = uri.removeprefix("sqlite:///")
    with contextlib.closing(sqlite3.connect(path, timeout=60, isolation_level=None)) as store:
        store.execute("BEGIN EXCLUSIVE")
        yield
        store.rollback()


@pytest.mark.heavy
def test_a_cell_is_one_run_with_everything(folder: Path, uri: str) -> None:
    assert send(folder, uri) == (3, 0)
    found = runs(uri)
    assert found.keys() == set(NAMES.values())
    scores = {"perplexity": 7.5, "perplexity_in_domain": 9.25} | SCORES
    del scores["ppl"], scores["in_domain_ppl"]
    for cell, name in NAMES.items():
        run = found[name]
        assert run.info.status == "FINISHED"
        assert scores.items() <= run.data.metrics.items()
        errors = {name: v for name, v in run.data.metrics.items() if name.endswith("_stderr")}
        assert errors == {"perplexity_stderr": 0.25, "piqa_stderr": 1.5}
        assert run.data.params == ({} if cell == DENSE else PARAMS)
        training = read_journal(journal_of(folder))[0] if cell == LEAP else None
        assert run.data.tags.get("training") == training
        place = f"models/{cell.model}" if cell == DENSE else f"hardened/{cell.path}"
        assert run.data.tags["checkpoint"] == f"results/test/{place}"
    run, curve = found[NAMES[LEAP]], curve_of(folder)
    assert curve_in(uri, run.info.run_id) == curve
    times = [point[2] for point in curve]
    assert run.info.start_time == min(times) and run.info.end_time >= max(times)
    (table,) = (folder.parent / "mlartifacts/leap-suite/test").rglob("layer_density.csv")
    assert table.read_text() == "layer,0,1,2\nlayers.0,0.5,0.5,0.5\n"
    assert send(folder, uri) == (0, 3)
    again = runs(uri)
    assert {name: str(again[name]) for name in again} == {name: str(found[name]) for name in found}


@pytest.mark.heavy
def test_an_interrupted_upload_is_completed(
    folder: Path, uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise MlflowException("the server is gone")

    with monkeypatch.context() as interrupted:
        interrupted.setattr(MlflowClient, "set_terminated", fail)
        write_results(folder, {LEAP: SCORES})
        with pytest.raises(ValueError, match=r"1 of 1 cells wait .*the server is gone"):
            send(folder, uri)
    begun = ids(uri)
    assert send(folder, uri) == (1, 0)
    assert ids(uri) == begun
    assert curve_in(uri, begun[NAMES[LEAP]]) == curve_of(folder)
    assert runs(uri)[NAMES[LEAP]].data.params == PARAMS
    assert send(folder, uri) == (0, 1)


@pytest.mark.heavy
@pytest.mark.parametrize("renewed", ["evaluation", "settings", "training"])
def test_a_cell_that_was_computed_again_gets_a_new_run(
    folder: Path, uri: str, renewed: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    send(folder, uri)
    before, cells = ids(uri), {**ALL}
    if renewed == "evaluation":
        cells[LEAP] = SCORES | {"piqa": 60.4}
    elif renewed == "settings":
        monkeypatch.delitem(SETTINGS, "rate")
        cells = {LEAP: SCORES}
    else:
        train(folder, steps=4)
    write_results(folder, cells)
    assert send(folder, uri) == (1, len(cells) - 1)
    after = ids(uri)
    assert {name for name in before if before[name] != after[name]} == {NAMES[LEAP]}
    assert curve_in(uri, after[NAMES[LEAP]]) == curve_of(folder)
    assert send(folder, uri) == (0, len(cells))


@pytest.mark.heavy
def test_a_study_without_the_dense_model_keeps_the_recovered_share(folder: Path, uri: str) -> None:
    for cells, expected in (
        ({WANDA: SCORES}, (1, 0)),
        ({WANDA: SCORES | {"recovered_share": 90.0}}, (1, 0)),
        ({WANDA: SCORES}, (0, 1)),
    ):
        assert send(write_results(folder, cells), uri) == expected
    assert runs(uri)[NAMES[WANDA]].data.metrics["recovered_share"] == 90.0


@pytest.mark.heavy
def test_a_long_curve_is_thinned_to_what_mlflow_draws(folder: Path, uri: str) -> None:
    train(folder, steps=1000)
    send(folder, uri)
    history = MlflowClient(uri).get_metric_history(ids(uri)[NAMES[LEAP]], "lm_loss")
    assert sorted(point.step for point in history) == [*range(0, 1000, 4), 999]


def fill(folder: Path, uri: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "leap_suite.tracking.upload", str(folder)],
        env={**os.environ, "PYTHONPATH": str(WORKFLOW), "MLFLOW_TRACKING_URI": uri},
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
    )  # fmt: skip
    return done.stdout


@pytest.mark.heavy
def test_a_store_is_filled_from_a_copied_folder(folder: Path, uri: str) -> None:
    assert "test/hardened has no results.parquet: give a" in fill(folder / "hardened", uri)
    write_results(folder / "studies/sweep", {Cell("t", "wanda", "0.7"): SCORES, WANDA: SCORES})
    copied = folder.rename(folder.with_name("copied"))
    assert fill(copied, uri).startswith("4 cells sent, 0 already complete: ")
    assert fill(copied, uri).startswith("0 cells sent, 4 already complete: ")
    assert set(runs(uri, "copied")) == {*NAMES.values(), "t wanda 0.7"}


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def test_a_server_that_is_down(folder: Path) -> None:
    uri, began = f"http://127.0.0.1:{free_port()}", time.monotonic()
    training = Training(folder, uri, steps=1000, pause=0)
    assert "live tracking" in training.end()
    assert (training.process.returncode, training.steps()) == (0, 1000)
    assert time.monotonic() - began < 30, "the training waited"
    waiting = rf"^3 of 3 cells wait to be recorded in {uri} \(.*\). The results themselves are"
    with pytest.raises(ValueError, match=waiting):
        send(folder, uri)


@pytest.mark.heavy
def test_a_server_that_does_not_answer(folder: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        uri = f"http://127.0.0.1:{silent.getsockname()[1]}"
        training = Training(folder, uri, pause=0.02, close=0.5)
        wait_until(lambda: training.steps() > 100)
        seconds, errors = training.stop()
    assert seconds < 10, "the training waited"
    assert "live tracking is behind; the rule `tracking` completes it" in errors


@pytest.mark.heavy
def test_two_live_trainings_create_one_store(tmp_path: Path) -> None:
    folder, uri = tmp_path / "test", f"sqlite:///{tmp_path}/mlflow.db"
    cells = [Cell("t", f"m{number}", "0.6", 1) for number in range(2)]
    trainings = [
        Training(folder, uri, steps=200, pause=0.01, close=150, method=cell.method)
        for cell in cells
    ]
    assert [training.end() for training in trainings] == ["", ""]
    live = runs(uri)
    assert {run.info.status for run in live.values()} == {"FINISHED"}
    write_results(folder, dict.fromkeys(cells, SCORES))
    for sent in (None, (2, 0), (0, 2)):
        assert sent is None or send(folder, uri) == sent
        assert ids(uri) == {name: run.info.run_id for name, run in live.items()}
        for cell in cells:
            curve = curve_in(uri, live[f"t {cell.method} 0.6 seed 1"].info.run_id)
            assert len(curve) == 400 and curve == curve_of(folder, cell)


@pytest.mark.heavy
def test_a_store_locked_under_a_live_training(folder: Path, uri: str) -> None:
    training = Training(folder, uri, pause=0.2)
    wait_until(lambda: has_points(uri))
    with locked(uri):
        time.sleep(3)  # the training sends every two seconds
        assert training.makes_steps(), "the training waits for its store"
        seconds, errors = training.stop()
        assert seconds < 15 and "live tracking" in errors, errors
        with pytest.raises(ValueError, match=r"3 of 3 cells wait .*database is locked"):
            send(folder, uri)
    (begun,) = runs(uri).values()
    assert begun.info.status == "RUNNING"
    assert len(curve_in(uri, begun.info.run_id)) < len(curve_of(folder))
    assert send(folder, uri) == (3, 0)
    assert ids(uri)[NAMES[LEAP]] == begun.info.run_id
    assert curve_in(uri, begun.info.run_id) == curve_of(folder)


@pytest.mark.heavy
@pytest.mark.parametrize("live", [True, False])
def test_a_killed_and_repeated_training_leaves_one_run(folder: Path, uri: str, live: bool) -> None:
    training = Training(folder, uri)
    wait_until(lambda: has_points(uri))
    training.process.send_signal(signal.SIGKILL)
    training.end()
    (killed,) = runs(uri).values()
    assert killed.info.status == "RUNNING"
    if live:
        assert Training(folder, uri, steps=5, pause=0, close=60).end() == ""
    else:
        train(folder)
    send(folder, uri)
    found = runs(uri)
    assert found.keys() == set(NAMES.values())
    run = found[NAMES[LEAP]].info
    assert (run.status, run.run_id == killed.info.run_id) == ("FINISHED", False)
    assert curve_in(uri, run.run_id) == curve_of(folder)


@pytest.mark.heavy
def test_a_failed_training_is_marked(tmp_path: Path, uri: str) -> None:
    errors = Training(tmp_path, uri, steps=-1, close=60).end()
    assert "ValueError: no steps" in errors
    assert [run.info.status for run in runs(uri).values()] == ["FAILED"]


@contextlib.contextmanager
def serving(folder: Path, port: int) -> Iterator[str]:
    """A real MLflow server on this port; its store outlives it."""
    address = f"http://127.0.0.1:{port}"
    with (folder / "server.log").open("w") as log:
        process = subprocess.Popen(
            [
                *(sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1"),
                *("--port", str(port), "--workers", "1"),
                *("--backend-store-uri", f"sqlite:///{folder}/mlflow.db"),
                *("--artifacts-destination", str(folder / "artifacts")),
            ],
            stdout=log, stderr=log, start_new_session=True,
            env={**os.environ, "MLFLOW_DISABLE_TELEMETRY": "true"},
        )  # fmt: skip
    try:
        wait_until(lambda: answers(f"{address}/health"), 120)
        yield address
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(timeout=30)


def answers(address: str) -> bool:
    with contextlib.suppress(OSError):
        return bool(urllib.request.urlopen(address, timeout=5).status == 200)
    return False


def columns_of(address: str, profile: Path) -> list[str]:
    """First columns of MLflow's list of runs in a browser."""
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    if browser is None:
        pytest.skip("all but the leaderboard was tested: there is no Chromium on this machine")
    page = subprocess.run(
        [
            browser, "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run",
            "--disable-background-networking", f"--user-data-dir={profile}",
            "--window-size=1900,1000", "--virtual-time-budget=60000", "--dump-dom", address,
        ],
        capture_output=True, text=True, timeout=300, check=True,
    ).stdout  # fmt: skip
    found = set(re.findall(r'aria-colindex="(\d+)" col-id="((?:tags|metrics)\.`\w+`)"', page))
    return [name for _, name in sorted(found)[:5]]


@pytest.mark.heavy
def test_a_server_restarted_under_a_live_training_and_its_leaderboard(
    folder: Path, uri: str, tmp_path: Path
) -> None:
    port = free_port()
    with serving(tmp_path, port) as address:
        training = Training(folder, address)
        wait_until(lambda: has_points(uri))
    time.sleep(2)  # without a server
    assert training.makes_steps(), "the training waits for the server"
    with serving(tmp_path, port):
        seconds, _ = training.stop()
        assert seconds < 15, "the training waited"
        ((_, begun),) = ids(address).items()
        assert send(folder, address) == (3, 0)
        assert ids(address)[NAMES[LEAP]] == begun
        assert curve_in(address, begun)[-1] == curve_of(folder)[-1]
        done = upload([folder / "results.parquet"], folder, "test", address)
        assert (done["sent"], done["complete"]) == (0, 3)
        assert columns_of(done["leaderboard"], tmp_path / "profile") == [
            "tags.`model`", "tags.`method`", "tags.`sparsity`",
            "metrics.`average`", "metrics.`perplexity`",
        ]  # fmt: skip
