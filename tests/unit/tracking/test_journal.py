"""Journals: what is written comes back, whatever becomes of the job."""

import json
import math
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from suite.tracking.journal import Journal, points_of, read_journal

TAGS = {"stage": "prune", "model": "tiny", "method": "leap"}
PARAMS = {"steps": 600, "learning_rate": 5e-3, "resume": False, "cap": None, "bound": math.inf}
WORKFLOW = Path(__file__).parents[3] / "workflow"


def test_round_trip(tmp_path: Path) -> None:
    artifact = tmp_path / "hardened" / "manifest.json"
    artifact.parent.mkdir()
    artifact.write_text("{}")
    path = tmp_path / "logs" / "prune.jsonl"
    with Journal(path, tags=TAGS, params=PARAMS) as journal:
        journal.metrics({"loss": 0.1 + 0.2, "perplexity/wikitext": 7}, step=3)
        journal.artifact(artifact)
    record = read_journal(path)
    assert record.start.tags == TAGS
    assert record.start.params == {**PARAMS, "bound": "Infinity"}
    assert [(p.name, p.value, p.step) for p in record.points] == [
        ("loss", 0.1 + 0.2, 3),
        ("perplexity/wikitext", 7.0, 3),
    ]
    assert [one.resolve() for one in record.artifacts] == [artifact]
    assert (record.status, record.torn) == ("FINISHED", False)
    assert record.start.time <= record.points[0].time <= record.end_time


def test_nan_and_infinities_survive_as_json(tmp_path: Path) -> None:
    path = tmp_path / "j.jsonl"
    with Journal(path, tags={}, params={}) as journal:
        journal.metrics({"a": math.nan, "b": math.inf, "c": -math.inf})

    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is not JSON")

    for line in path.read_text().splitlines():
        json.loads(line, parse_constant=refuse)
    values = {point.name: point.value for point in read_journal(path).points}
    assert math.isnan(values["a"])
    assert (values["b"], values["c"]) == (math.inf, -math.inf)


def test_an_exception_ends_the_run_as_failed_and_passes(tmp_path: Path) -> None:
    path = tmp_path / "j.jsonl"
    with (
        pytest.raises(ZeroDivisionError),
        Journal(path, tags={}, params={}) as journal,
    ):
        journal.metrics({"loss": 1 / 0})
    assert read_journal(path).status == "FAILED"


def test_executions_differ_in_run_and_share_their_origin(tmp_path: Path) -> None:
    starts = []
    for _ in range(2):
        with Journal(tmp_path / "j.jsonl", tags={}, params={}):
            pass
        starts.append(read_journal(tmp_path / "j.jsonl").start)
    assert starts[0].run != starts[1].run
    assert starts[0].origin == starts[1].origin


def test_moved_results_keep_their_artifacts(tmp_path: Path) -> None:
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "manifest.json").write_text("{}")
    with Journal(tmp_path / "old" / "logs" / "j.jsonl", tags={}, params={}) as journal:
        journal.artifact(tmp_path / "old" / "manifest.json")
    (tmp_path / "old").rename(tmp_path / "new")
    (artifact,) = read_journal(tmp_path / "new" / "logs" / "j.jsonl").artifacts
    assert artifact.is_file()


def test_a_killed_job_leaves_all_it_wrote(tmp_path: Path) -> None:
    path = tmp_path / "j.jsonl"
    script = (
        "import os, signal, sys\n"
        "from suite.tracking.journal import Journal\n"
        "with Journal(sys.argv[1], tags={}, params={}) as journal:\n"
        "    for step in range(100):\n"
        "        journal.metrics({'loss': step}, step=step)\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(WORKFLOW)}
    job = subprocess.run([sys.executable, "-c", script, str(path)], env=environment, check=False)
    assert job.returncode == -signal.SIGKILL
    record = read_journal(path)
    assert [point.step for point in record.points] == list(range(100))
    assert record.status is None
    assert record.end_time == record.points[-1].time


def test_every_cut_is_tolerated_but_the_first_line(tmp_path: Path) -> None:
    path = tmp_path / "j.jsonl"
    with Journal(path, tags=TAGS, params=PARAMS) as journal:
        journal.metrics({"loss": 1.0})
    whole = path.read_bytes()
    first = whole.index(b"\n")
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        if length < first:
            with pytest.raises(ValueError, match=r"j\.jsonl:1: no complete line"):
                read_journal(path)
        else:
            remainder = whole[:length].rpartition(b"\n")[2]
            assert read_journal(path).torn == (remainder not in [*whole.splitlines(), b""])


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("", "not a line of JSON"),
        ("[]", "no event of a journal"),
        ('{"event": "metric"}', "no event of a journal"),
        ('{"event": ["end"]}', "no event of a journal"),
        ('{"event": "artifact"}', "artifact must have exactly path"),
        ('{"event": "end", "time": 1.5, "status": "FINISHED"}', "time must be of type int"),
        ('{"event": "end", "time": 1, "status": "DONE"}', "FINISHED or FAILED"),
        ('{"event": "metrics", "time": 1, "step": 0, "values": {"a": "1"}}', "a must be a float"),
        ('{"event": "metrics", "time": 1, "step": 0, "values": {"a": []}}', "a must be a float"),
    ],
)
def test_malformed_lines_are_named(tmp_path: Path, line: str, complaint: str) -> None:
    path = tmp_path / "j.jsonl"
    with Journal(path, tags={}, params={}):
        pass
    start, end = path.read_text().splitlines()
    path.write_text("\n".join([start, line, end, ""]))
    with pytest.raises(ValueError, match=rf"j\.jsonl:2: .*{complaint}"):
        read_journal(path)


def test_order_is_checked(tmp_path: Path) -> None:
    path = tmp_path / "j.jsonl"
    with Journal(path, tags={}, params={}):
        pass
    start, end = path.read_text().splitlines()
    for lines, complaint in [
        ([end], ":1: a journal has one start"),
        ([start, start], ":2: a journal has one start"),
        ([start, end, end], ":2: lines follow the end"),
    ]:
        path.write_text("\n".join([*lines, ""]))
        with pytest.raises(ValueError, match=complaint):
            read_journal(path)


@pytest.mark.parametrize(
    "name", ["", "a" * 251, "loss%", "/loss", "a//b", "../a", "mlflow.user", "journal.run"]
)
def test_names_mlflow_would_refuse_are_refused_when_written(tmp_path: Path, name: str) -> None:
    with (
        Journal(tmp_path / "j.jsonl", tags={}, params={}) as journal,
        pytest.raises(ValueError, match="name"),
    ):
        journal.metrics({name: 1.0})


def test_nested_params_are_refused(tmp_path: Path) -> None:
    settings: dict[str, Any] = {"optimiser": {"lr": 1}}
    with pytest.raises(TypeError, match="optimiser"):
        Journal(tmp_path / "j.jsonl", tags={}, params=settings)


def test_artifacts_must_exist_and_have_names_of_their_own(tmp_path: Path) -> None:
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "manifest.json").write_text("{}")
    with Journal(tmp_path / "j.jsonl", tags={}, params={}) as journal:
        journal.artifact(tmp_path / "a" / "manifest.json")
        with pytest.raises(ValueError, match=r"manifest\.json"):
            journal.artifact(tmp_path / "b" / "manifest.json")
        with pytest.raises(FileNotFoundError, match=r"absent\.json"):
            journal.artifact(tmp_path / "absent.json")


class Recorder:
    def __init__(self, failing: str = "") -> None:
        self.events: list[dict[str, Any]] = []
        self.closed = False
        self.failing = failing

    def send(self, event: dict[str, Any]) -> None:
        if self.failing == "send":
            raise OSError("down")
        self.events.append(event)

    def close(self) -> None:
        if self.failing == "close":
            raise OSError("down")
        self.closed = True


def test_a_mirror_gets_the_same_events(tmp_path: Path) -> None:
    path, mirror = tmp_path / "j.jsonl", Recorder()
    with Journal(path, tags=TAGS, params={}, mirror=mirror) as journal:
        journal.metrics({"loss": math.nan, "rate": 0.5}, step=2)
    assert mirror.closed
    assert mirror.events == [json.loads(line) for line in path.read_text().splitlines()]
    assert [p.value for p in points_of(mirror.events[1])] == pytest.approx(
        [math.nan, 0.5], nan_ok=True
    )


@pytest.mark.parametrize("failing", ["send", "close"])
def test_a_failing_mirror_does_not_touch_the_job(tmp_path: Path, failing: str) -> None:
    path = tmp_path / "j.jsonl"
    with Journal(path, tags={}, params={}, mirror=Recorder(failing)) as journal:
        journal.metrics({"loss": 1.0})
    record = read_journal(path)
    assert record.status == "FINISHED"
    assert len(record.points) == 1


def test_the_journal_costs_no_heavy_import() -> None:
    script = (
        "import sys, suite.tracking.journal, suite.tracking.live; "
        "assert not {'mlflow', 'torch', 'numpy'} & set(sys.modules)"
    )
    environment = {**os.environ, "PYTHONPATH": str(WORKFLOW)}
    subprocess.run([sys.executable, "-c", script], env=environment, check=True)
