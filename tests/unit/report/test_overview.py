"""One line per job in the terminal, with the number of finished jobs and the time left."""

import logging

import pytest

from leap_suite.report import overview
from leap_suite.report.overview import Overview, duration

RULES = {1: "train", 2: "train", 3: "prune", 4: "prune", 5: "tables"}


def record(event=None, msg="", **values):
    return logging.makeLogRecord({"event": event, "msg": msg, **values})


class Terminal:
    """The lines that an overview prints of the records that it gets, without their time of day."""

    def __init__(self, monkeypatch, rules=RULES):
        self.now = 100.0
        monkeypatch.setattr(overview.time, "monotonic", lambda: self.now)
        self.overview = Overview(logging.Formatter("as ever: %(message)s"), rules)
        self.lines = []

    def log(self, *values, **more):
        each = record(*values, **more)
        if self.overview.filter(each):
            line = self.overview.format(each)
            self.lines.append(line[9:] if values[0] == "job_info" else line)

    def begin(self, job, message="Pruning"):
        self.log("job_started", "Execute 1 jobs...")
        self.log("job_info", jobid=job, rule_msg=message)

    def finish(self, job, after=0.0):
        self.now += after
        self.log("job_finished", f"Finished jobid: {job}", job_id=job)
        self.log("progress", None, done=1, total=5)


@pytest.fixture
def terminal(monkeypatch):
    return Terminal(monkeypatch)


def test_one_line_per_job_with_finished_jobs(terminal):
    terminal.log(None, "Select jobs to execute...")
    terminal.begin(3, "Pruning tiny")
    terminal.finish(3)
    terminal.begin(5, None)  # a target without a message
    terminal.begin(4, "Pruning small")
    assert terminal.lines == ["[0/5] Pruning tiny", "[1/5] Pruning small"]


@pytest.mark.parametrize("event", [None, "job_error", "run_info", "shellcmd"])
def test_all_other_records_are_unchanged(terminal, event):
    terminal.log(event, "words")
    assert terminal.lines == ["as ever: words"]


def test_time_left_waits_for_one_job_of_each_rule_with_several(terminal):
    terminal.begin(3)
    terminal.finish(3, after=2)
    terminal.begin(1)
    assert terminal.lines[-1] == "[1/5] Pruning"
    terminal.finish(1, after=60)
    terminal.now += 10  # without a job
    terminal.begin(2)
    # a training of 60 s, a pruning of 2 s, and the tables as the mean of both; one at a time
    assert terminal.lines[-1] == "[2/5, 1 min 33 s left] Pruning"


def test_parallel_jobs_need_less_time(monkeypatch):
    terminal = Terminal(monkeypatch, dict.fromkeys(range(4), "prune"))
    terminal.begin(0)
    terminal.begin(1)
    terminal.finish(0, after=10)
    terminal.finish(1)
    assert terminal.overview.seconds_left() == 10


def test_a_repeated_job_counts_once(terminal):
    terminal.begin(3)
    terminal.begin(3)
    terminal.finish(3)
    terminal.finish(3)
    terminal.begin(4)
    assert terminal.lines[-1] == "[1/5] Pruning"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.4, "0 s"), (59.6, "1 min 0 s"), (3599.6, "1 h 0 min"), (100_000, "27 h 46 min")],
)
def test_durations(seconds, text):
    assert duration(seconds) == text
