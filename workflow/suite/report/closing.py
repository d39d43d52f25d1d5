"""What a finished run says last in the terminal: what was found, where it is, how long it took."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from suite.artifacts.files import read_json
from suite.plan.methods import method_label
from suite.report.overview import duration
from suite.tables import generated as kind
from suite.tables import verdict


def closing_lines(results: Path, seconds: float, about: str, generated: bool) -> list[str]:
    """Lines on the run whose folder is `results`, or none where it has no headline or page.

    A line for each verdict that stands first, or the leaderboard where there is none, one more
    where results were not computed alike, and three on the run. `seconds` is the run's duration,
    `about` what the scale's results can tell, and `generated` says whether the tasks were generated
    by the suite. A damaged headline is named instead of read: nothing here is worth failing a run
    that has made all it was asked for.
    """
    headline, page = results / "tables/headline.json", results / "report.html"
    if not (headline.is_file() and page.is_file()):
        return []
    try:
        judged = read_json(headline)
        found = [_line(judged["subject"], v, generated) for v in judged["against"] if v["first"]]
        found = found or _leaderboard(results)
        found += filter(None, [judged["mixed"]])
    except (KeyError, ValueError) as error:
        found = [str(error)]
    return [
        *found,
        about,
        f"Verdicts, tables and figures: {page}",
        f"This run took {duration(seconds)}.",
    ]


def _line(subject: str, found: Mapping[str, Any], generated: bool) -> str:
    accuracy = found["accuracy"]
    tasks = f", {kind.TITLE}" if generated else ""
    # several are named on the page: the line is to be short
    is_one = len({cell["baseline"] for cell in accuracy["cells"]}) == 1
    which = f" ({verdict.best_baselines(accuracy)})" if is_one else ""
    return (
        f"{method_label(subject)} vs. {found['name']}{which}{tasks}: {verdict.claim(accuracy)}. "
        f"{verdict.short_summary(accuracy, generated)}"
    )


def _leaderboard(results: Path) -> list[str]:
    """The lines of the leaderboard, as the verdict's page has them."""
    lines = (results / "tables/verdict.md").read_text(encoding="utf-8").splitlines()
    return [line for line in lines if line.startswith("|")]
