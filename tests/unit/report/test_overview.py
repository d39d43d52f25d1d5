"""The lines of a run that goes on: one a job, with a count and, once it can be told, time left."""

import logging

import pytest

from suite.report import overview
from suite.report.overview import Overview

RULES = {1: "train", 2: "train", 3: "prune", 4: "prune", 5: "tables"}


def record(event=None, msg="", **values):
    return logging.makeLogRecord({"event": event, "msg": msg, **values})


@pytest.fixture
def clock(monkeypatch):
    """A list whose last number is the time."""
    times = [100.0]
    monkeypatch.setattr(overview.time, "monotonic", lambda: times[-1])
    return times


class Terminal:
    """What is seen of the records that an overview is shown."""

    def __init__(self, rules=RULES):
        self.overview = Overview(logging.Formatter("as ever: %(message)s"), rules)
        self.lines = []

    def show(self, each):
        if self.overview.filter(each):
            self.lines.append(self.overview.format(each))

    def begin(self, job, message="Pruning"):
        self.show(record("job_info", jobid=job, rule_msg=message))

    def finish(self, job):
        self.show(record("job_finished", f"Finished jobid: {job}", job_id=job))
        self.show(record("progress", None, done=1, total=5))

    @property
    def last(self):
        return self.lines[-1][9:]


def test_a_job_is_one_line_with_the_jobs_behind_it(clock):
    terminal = Terminal()
    terminal.show(record(None, "Select jobs to execute..."))
    terminal.show(record("job_started", "Execute 1 jobs..."))
    terminal.begin(3, "Pruning tiny")
    terminal.finish(3)
    terminal.begin(4, "Pruning small")
    assert [line[9:] for line in terminal.lines] == ["[0/5] Pruning tiny", "[1/5] Pruning small"]


def test_a_target_without_a_message_is_no_line(clock):
    terminal = Terminal()
    terminal.begin(5, None)
    assert terminal.lines == []


@pytest.mark.parametrize("event", [None, "job_error", "run_info", "shellcmd"])
def test_all_else_is_as_ever(clock, event):
    terminal = Terminal()
    terminal.show(record(event, "words"))
    assert terminal.lines == ["as ever: words"]


def test_time_left_waits_for_one_job_of_each_rule_with_several(clock):
    terminal = Terminal()
    terminal.begin(3)
    clock.append(102.0)
    terminal.finish(3)
    terminal.begin(1)
    assert terminal.last == "[1/5] Pruning"
    clock.append(162.0)
    terminal.finish(1)
    terminal.begin(2)
    # a training of 60 s, a pruning of 2 s, and the tables as the mean of both; one at a time
    assert terminal.last == "[2/5, 1 min 33 s left] Pruning"


def test_jobs_side_by_side_need_less_time(clock):
    terminal = Terminal({1: "prune", 2: "prune", 3: "prune", 4: "prune"})
    terminal.begin(1)
    terminal.begin(2)
    clock.append(110.0)
    terminal.finish(1)
    terminal.finish(2)
    assert terminal.overview.seconds_left() == 10


def test_a_job_that_is_tried_again_counts_once(clock):
    terminal = Terminal()
    terminal.begin(3)
    terminal.begin(3)
    terminal.finish(3)
    terminal.finish(3)
    terminal.begin(4)
    assert terminal.last == "[1/5] Pruning"
