"""Last lines of a run in the terminal: verdicts or leaderboard, path of the page, duration."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from suite.artifacts.files import read_json
from suite.plan.methods import method_label
from suite.report.overview import duration
from suite.results.frame import read
from suite.tables import caption as kind
from suite.tables import verdict
from suite.tables.leaderboard import leaderboard_lines


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
            found = [kind.titled("Leaderboard", generated), *leaderboard_lines(frames)]
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
    tasks = f", {kind.TITLE}" if generated else ""
    # only the page names several baselines, to keep this line short
    is_one = len({cell["baseline"] for cell in accuracy["cells"]}) == 1
    which = f" ({verdict.best_baselines(accuracy)})" if is_one else ""
    return (
        f"{method_label(subject)} vs. {found['name']}{which}{tasks}: {verdict.claim(accuracy)}. "
        f"{verdict.short_summary(accuracy, generated)}"
    )
