"""Journals: round trip, killed trainings, damaged files."""

import json
import math
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from leap_suite.plan.cell import Cell
from leap_suite.tracking.journal import open_journal, read_journal

CELL = Cell("tiny", "leap", "0.6", 1)
WORKFLOW = Path(__file__).parents[3] / "workflow"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "j.jsonl"


def test_round_trip(path: Path) -> None:
    values = {"lm_loss": 0.1 + 0.2, "a": math.nan, "b": math.inf, "c": -math.inf, "n": 7}
    with open_journal(str(path), "paper", CELL, {}) as record:
        record(values, 3)

    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is not JSON")

    start, _ = (json.loads(line, parse_constant=refuse) for line in path.read_text().splitlines())
    assert (start["tags"]["model"], start["tags"]["sparsity"]) == ("tiny", "0.6")
    execution, curve = read_journal(path)
    assert execution == start["run"]
    assert [point.step for point in curve] == [3] * 5
    assert {point.name: point.value for point in curve} == pytest.approx(values, nan_ok=True)
    with open_journal(str(path), "paper", CELL, {}):
        pass
    assert read_journal(path)[0] != execution


def test_a_killed_training_leaves_all_its_steps(path: Path) -> None:
    script = (
        "import os, signal, sys\n"
        "from leap_suite.plan.cell import Cell\n"
        "from leap_suite.tracking.journal import open_journal\n"
        "with open_journal(sys.argv[1], 'paper', Cell('m', 'leap', '0.5'), {}) as record:\n"
        "    for step in range(100):\n"
        "        record({'loss': step}, step)\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(WORKFLOW)}
    job = subprocess.run([sys.executable, "-c", script, str(path)], env=environment, check=False)
    assert job.returncode == -signal.SIGKILL
    assert [point.step for point in read_journal(path)[1]] == list(range(100))


@pytest.mark.parametrize(
    "text",
    ["", "[]\n", "{}\n", '{"run": "a"}\n{"values": ', '{"run": "a"}\n{"values": {"x": []}}'],
)
def test_a_damaged_journal_is_named(path: Path, text: str) -> None:
    path.write_text(text)
    with pytest.raises(ValueError, match=r"j\.jsonl is damaged .*: delete it and run again"):
        read_journal(path)


def test_the_journal_costs_no_heavy_import() -> None:
    script = (
        "import sys, leap_suite.tracking.journal, leap_suite.tracking.watch; "
        "assert not {'mlflow', 'torch', 'numpy', 'pandas'} & set(sys.modules)"
    )
    environment = {**os.environ, "PYTHONPATH": str(WORKFLOW)}
    subprocess.run([sys.executable, "-c", script], env=environment, check=True)
