"""Lines of a run in the terminal: one per job, with the time left, and the verdicts at its end."""

import contextlib
import logging
import statistics
import time
from collections import Counter, defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from leap_suite.artifacts.files import read_json
from leap_suite.jobs.provenance import benchmarked
from leap_suite.plan.methods import method_label
from leap_suite.results.frame import read
from leap_suite.tables import caption, verdict
from leap_suite.tables.leaderboard import leaderboard_lines


class Overview:
    """Filter and formatter of Snakemake's log records.

    `rest` formats all records but the start of a job: warnings, errors with their logs, the table
    of jobs. `rules` is the rule of every job of the run, by its id, and `earlier` the seconds of a
    rule's job in an earlier run, where they are known.
    """

    def __init__(
        self, rest: logging.Formatter, rules: Mapping[int, str], earlier: Mapping[str, float]
    ) -> None:
        self.rest = rest
        self.earlier = earlier
        self.total = len(rules)
        self._ahead = dict(rules)
        self._many = {rule for rule, jobs in Counter(rules.values()).items() if jobs > 1}
        self._begun = time.monotonic()
        self._started: dict[int, float] = {}
        self._took: defaultdict[str, list[float]] = defaultdict(list)

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether to print a record. Counts finished jobs in any case."""
        event, now, values = getattr(record, "event", None), time.monotonic(), vars(record)
        if event == "job_info":
            self._started[values["jobid"]] = now
            return bool(values["rule_msg"])
        if event == "job_finished" and (rule := self._ahead.pop(values["job_id"], None)):
            self._took[rule].append(now - self._started.get(values["job_id"], now))
        return event not in ("job_started", "job_finished", "progress") and (
            record.msg != "Select jobs to execute..."
        )

    def format(self, record: logging.LogRecord) -> str:
        """The line of a job that starts; `rest` formats other records."""
        if getattr(record, "event", None) != "job_info":
            return self.rest.format(record)
        done, left = self.total - len(self._ahead), self.seconds_left()
        known = self._many.intersection(self._ahead.values()) <= set(self._means())
        about = "about" if known else "very roughly"
        counted = f"{done}/{self.total}" + (f", {about} {duration(left)} left" if left else "")
        return f"{time.strftime('%H:%M:%S')} [{counted}] {vars(record)['rule_msg']}"

    def seconds_left(self) -> float | None:
        """Estimate from the seconds of each rule's jobs and the number of parallel jobs.

        None before the first job has finished, and while most jobs ahead have rules whose seconds
        are known neither from this run nor from an earlier one: the first jobs of a run are short.
        Other such rules are estimated by the mean of all finished jobs.
        """
        done = sum(seconds for took in self._took.values() for seconds in took)
        now, means = time.monotonic(), self._means()
        unknown = sum(rule not in means for rule in self._ahead.values())
        if not done or unknown > len(self._ahead) / 2:
            return None
        mean = done / (self.total - len(self._ahead))
        ahead = sum(means.get(rule, mean) for rule in self._ahead.values())
        running = sum(now - begun for job, begun in self._started.items() if job in self._ahead)
        return ahead / max(1.0, (done + running) / (now - self._begun))

    def _means(self) -> dict[str, float]:
        """Seconds of a rule's job, where they are known."""
        seen = {rule: statistics.fmean(took) for rule, took in self._took.items()}
        return {**self.earlier, **seen}


def earlier_seconds(benchmarks: Path) -> dict[str, float]:
    """Mean seconds of each rule's jobs in earlier runs, from Snakemake's files in the folder
    `benchmarks/<rule>`; a damaged file counts for nothing."""
    took = defaultdict(list)
    for file in benchmarks.rglob("*.tsv"):
        with contextlib.suppress(KeyError, OSError, StopIteration, ValueError):
            seconds = benchmarked(file)["wall_time_seconds"]
            took[file.relative_to(benchmarks).parts[0]].append(seconds)
    return {rule: statistics.fmean(seconds) for rule, seconds in took.items()}


def duration(seconds: float) -> str:
    """Whole seconds below an hour, whole minutes above."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def closing_lines(results: Path, seconds: float, about: str, generated: bool) -> list[str]:
    """Closing lines of the run in the folder `results`; none without its headline or its page.

    One line per first verdict (or, without a first one, per verdict; or the leaderboard), one if
    results were not computed alike, and three on the run. `about` says what the scale's results can
    show, and `generated` whether the suite generated the tasks. A damaged file is named instead of
    raising: the run itself has succeeded.
    """
    headline, page = results / "tables/headline.json", results / "report.html"
    if not (headline.is_file() and page.is_file()):
        return []
    try:
        judged = read_json(headline)
        verdicts = [v for v in judged["against"] if v["first"]] or judged["against"]
        found = [_line(judged["subject"], verdict, generated) for verdict in verdicts]
        if not found:
            frames = read(results / "results.parquet", results / "items.parquet")
            found = [caption.titled("Leaderboard", generated), *leaderboard_lines(frames)]
        found += filter(None, [judged["mixed"]])
    except (KeyError, OSError, ValueError) as error:
        found = [str(error)]
    return [
        *found,
        about,
        f"Verdicts, tables and figures: {page}",
        f"This run took {duration(seconds)}.",
    ]


def _line(subject: str, found: Mapping[str, Any], generated: bool) -> str:
    accuracy = found["accuracy"]
    tasks = f", {caption.TITLE}" if generated else ""
    # only the page names several baselines, to keep this line short
    is_one = len({cell["baseline"] for cell in accuracy["cells"]}) == 1
    which = f" ({verdict.best_baselines(accuracy)})" if is_one else ""
    return (
        f"{method_label(subject)} vs. {found['name']}{which}{tasks}: {verdict.claim(accuracy)}. "
        f"{verdict.short_summary(accuracy, generated)}"
    )
