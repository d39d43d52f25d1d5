"""What a run says in the terminal while it goes on: a line a job, how many are done, time left."""

import logging
import statistics
import time
from collections import Counter, defaultdict
from collections.abc import Mapping


class Overview:
    """Takes the place of Snakemake's blocks of lines, whose records it is shown one by one.

    What is none of its business (warnings, errors with their logs, the table at the start) stays
    as `rest` has it. `rules` has the rule of every job that is to be run.
    """

    def __init__(self, rest: logging.Formatter, rules: Mapping[int, str]) -> None:
        self.rest = rest
        self.total = len(rules)
        self._ahead = dict(rules)
        self._many = {rule for rule, jobs in Counter(rules.values()).items() if jobs > 1}
        self._begun = time.monotonic()
        self._started: dict[int, float] = {}
        self._took: defaultdict[str, list[float]] = defaultdict(list)

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether a record is shown; jobs are counted here, whether it is or not."""
        event, now = getattr(record, "event", None), time.monotonic()
        if event == "job_info":
            self._started[vars(record)["jobid"]] = now
            return bool(vars(record)["rule_msg"])
        if event == "job_finished":
            self._finish(vars(record)["job_id"], now)
        return event not in ("job_started", "job_finished", "progress") and (
            record.msg != "Select jobs to execute..."
        )

    def format(self, record: logging.LogRecord) -> str:
        """The line of a job that begins."""
        if getattr(record, "event", None) != "job_info":
            return self.rest.format(record)
        done, left = self.total - len(self._ahead), self.seconds_left()
        counted = f"{done}/{self.total}" + (f", {duration(left)} left" if left else "")
        return f"{time.strftime('%H:%M:%S')} [{counted}] {vars(record)['rule_msg']}"

    def seconds_left(self) -> float | None:
        """By what the jobs of each rule took so far, and how many of them went at a time.

        None as long as a rule with several jobs ahead has none behind: of a training nothing can
        be told from jobs of a second. A rule with one job is taken for one of the others' mean.
        """
        done = [seconds for took in self._took.values() for seconds in took]
        if not done or not self._many.intersection(self._ahead.values()) <= set(self._took):
            return None
        mean = statistics.fmean(done)
        means = {rule: statistics.fmean(took) for rule, took in self._took.items()}
        ahead = sum(means.get(rule, mean) for rule in self._ahead.values())
        return ahead / max(1.0, sum(done) / (time.monotonic() - self._begun))

    def _finish(self, job: int, now: float) -> None:
        rule = self._ahead.pop(job, None)
        if rule is not None and job in self._started:
            self._took[rule].append(now - self._started[job])


def duration(seconds: float) -> str:
    """Whole seconds below an hour, whole minutes above."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
