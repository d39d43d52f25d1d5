"""One line per job in the terminal, with the number of finished jobs and the time left."""

import logging

import pytest

from leap_suite.report import overview
from leap_suite.report.overview import Overview, duration, earlier_seconds

RULES = {1: "train", 2: "train", 3: "prune", 4: "prune", 5: "tables"}


def record(event=None, msg="", **values):
    return logging.makeLogRecord({"event": event, "msg": msg, **values})


class Terminal:
    """The lines that an overview prints of the records that it gets, without their time of day."""

    def __init__(self, monkeypatch, rules=RULES, earlier=None):
        self.now = 100.0
        monkeypatch.setattr(overview.time, "monotonic", lambda: self.now)
        self.overview = Overview(logging.Formatter("as ever: %(message)s"), rules, earlier or {})
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


def test_time_left_is_rough_until_a_job_of_each_rule_with_several_has_finished(monkeypatch):
    terminal = Terminal(monkeypatch, {**RULES, 6: "prune", 7: "prune"})
    terminal.begin(3)
    assert terminal.lines[-1] == "[0/7] Pruning"
    terminal.finish(3, after=2)
    terminal.begin(1)
    assert terminal.lines[-1] == "[1/7, very roughly 12 s left] Pruning"


def test_short_first_jobs_tell_nothing_of_the_others(terminal):
    terminal.begin(3)
    terminal.finish(3, after=2)
    terminal.begin(1)  # two trainings, a pruning and the tables are ahead
    assert terminal.lines[-1] == "[1/5] Pruning"
    terminal.finish(1, after=60)
    terminal.now += 10  # without a job
    terminal.begin(2)
    # a training of 60 s, a pruning of 2 s, and the tables as the mean of both; one at a time
    assert terminal.lines[-1] == "[2/5, about 1 min 33 s left] Pruning"


def test_an_earlier_run_tells_the_time_of_rules_that_are_still_to_come(monkeypatch):
    terminal = Terminal(monkeypatch, earlier={"train": 50.0, "prune": 9.0})
    terminal.begin(3)
    terminal.finish(3, after=2)
    terminal.begin(1)
    # two trainings as earlier, a pruning and the tables as the pruning of this run
    assert terminal.lines[-1] == "[1/5, about 1 min 44 s left] Pruning"


def test_earlier_seconds_are_means_of_the_files_that_can_be_read(tmp_path):
    texts = {"train/a/0.5": "60.0\t1\n", "train/a/0.6": "62.0\t-\n", "prune/a/0.5": "2.5\t1\n"}
    for name, text in {**texts, "prune/a/0.6": ""}.items():
        file = tmp_path / f"{name}.tsv"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text and f"s\tmax_rss\n{text}")
    assert earlier_seconds(tmp_path) == {"train": 61.0, "prune": 2.5}
    assert earlier_seconds(tmp_path / "none") == {}


def test_jobs_in_parallel_count_before_they_finish(monkeypatch):
    terminal = Terminal(monkeypatch, dict.fromkeys(range(5), "prune"))
    terminal.begin(0)
    terminal.begin(1)
    terminal.finish(0, after=10)
    assert terminal.overview.seconds_left() == 20


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
