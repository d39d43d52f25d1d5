"""Our numbers beside the published ones: what was reproduced, by one stated rule."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass

import pandas as pd

from suite.plan.methods import method_label
from suite.results.frame import Results, written
from suite.results.statistics import means
from suite.tables import published_leads
from suite.tables.generated import check_real
from suite.tables.markdown import escaped, table
from suite.tables.numbers import number, perplexity
from suite.tables.published import TASKS, Published, comparable, read_published
from suite.tables.text import csv_text, lines_text, mixed_lines
from suite.tables.told import Told

REPRODUCED, DEVIATES = "reproduced", "deviates"
NOT_RUN, NOT_PUBLISHED = "not run", "not published"

MEASURES = (*TASKS, "average", "ppl")
WITHIN_ERRORS = 2.0  # accuracies: combined standard errors
WITHIN_SHARE = 0.05  # perplexity: of the published value

RULE = (
    f"`{REPRODUCED}`: an accuracy differs by at most {WITHIN_ERRORS:g} combined standard errors, a "
    f"perplexity by at most {WITHIN_SHARE:.0%} of the published value; `{DEVIATES}`: by more. The "
    "published numbers come without errors, so each is given the error of ours, and the combined "
    "one is that times the square root of two. Both were measured on the same items, so this is "
    "the error of a new draw of items, not of a second measurement: a wide margin. Perplexity is "
    "over the same text, whose choice is no error at all. Means over seeds where there are "
    "several. Where two sources give two numbers, ours is compared with each."
)


@dataclass(frozen=True)
class Comparison:
    """One number of ours and a published one; NaN where there is none. Accuracies in percent.

    `source` names where the published one was read, or all places that have it.
    """

    model: str
    sparsity: str
    method: str
    measure: str
    ours: float
    published: float
    difference: float
    combined_stderr: float
    verdict: str
    source: str


def against_published(results: Results, told: Told) -> Mapping[str, str]:
    """All comparisons as CSV; averages, perplexities and LEAP's leads as Markdown."""
    rows = compare(results, read_published())
    headings = ["Model", "Sparsity", "Method", "Measure", "Ours", "Published", "Difference",
                "Verdict", "Source"]  # fmt: skip
    shown = [_texts(row) for row in rows if row.measure in ("average", "ppl")]
    lines = ["# Against the published numbers", "", RULE, ""]
    lines += [", ".join(f"{verdict}: {count}" for verdict, count in counts(rows).items()) + "."]
    lines += ["", *table(headings, shown, "lrllrrrll"), *mixed_lines(results)]
    lines += ["", "## LEAP's leads", "", *published_leads.lines(published_leads.leads(results))]
    return {"csv": csv_text(pd.DataFrame(map(asdict, rows))), "md": lines_text(lines)}


def compare(results: Results, published: Sequence[Published]) -> list[Comparison]:
    """Every published measure of every (model, sparsity, method) that was run or published.

    Ours are means over seeds. One that was published with several values has a row for each.
    Raises ValueError for results on generated tasks.
    """
    check_real(results)
    found = means(results.cells, [n for m in comparable(results) for n in (m, f"{m}_stderr")])
    found = found.reindex(columns=[name for m in MEASURES for name in (m, f"{m}_stderr")])
    ours = {(m, written(s), method): row for (m, s, method), row in found.iterrows()}
    theirs = _theirs(published)
    return [
        row
        for place in dict.fromkeys([*theirs, *ours])
        for row in _rows(place, ours.get(place), theirs.get(place, []))
    ]


def _theirs(published: Sequence[Published]) -> dict[tuple[str, str, str], list[Published]]:
    """All sources of a place."""
    places: dict[tuple[str, str, str], list[Published]] = {}
    for row in published:
        places.setdefault((row.model, written(float(row.sparsity)), row.method), []).append(row)
    return places


def _rows(
    place: tuple[str, str, str], ours: pd.Series | None, theirs: list[Published]
) -> Iterator[Comparison]:
    for measure in MEASURES:
        value, error = (
            (math.nan, math.nan) if ours is None else ours[[measure, f"{measure}_stderr"]]
        )
        combined = math.sqrt(2) * error
        for known, source in _published(theirs, measure):
            verdict = _verdict(value, known, _margin(measure, known, combined))
            difference = value - known
            yield Comparison(*place, measure, value, known, difference, combined, verdict, source)


def _margin(measure: str, published: float, combined: float) -> float:
    return WITHIN_SHARE * published if measure == "ppl" else WITHIN_ERRORS * combined


def _verdict(ours: float, published: float, margin: float) -> str:
    if math.isnan(published):
        return NOT_PUBLISHED
    if math.isnan(ours):
        return NOT_RUN
    return REPRODUCED if abs(ours - published) <= margin else DEVIATES


def _published(rows: Sequence[Published], measure: str) -> list[tuple[float, str]]:
    """The different values that were published, each with its sources; one NaN if there is none."""
    sources: dict[float, list[str]] = {}
    for row in rows:
        value = _published_value(row, measure)
        if not math.isnan(value):
            sources.setdefault(value, []).append(row.source)
    return [(value, "; ".join(of)) for value, of in sources.items()] or [(math.nan, "")]


def _published_value(row: Published, measure: str) -> float:
    if measure == "ppl":
        return row.perplexity
    return row.average if measure == "average" else row.accuracy.get(measure, math.nan)


def counts(rows: Sequence[Comparison]) -> dict[str, int]:
    """How many rows have each verdict, but for what was not published."""
    return {v: sum(row.verdict == v for row in rows) for v in (REPRODUCED, DEVIATES, NOT_RUN)}


def _texts(row: Comparison) -> list[str]:
    printed = perplexity if row.measure == "ppl" else number
    return [
        escaped(row.model), row.sparsity, method_label(row.method), row.measure,
        printed(row.ours), printed(row.published), printed(row.difference, sign="+"), row.verdict,
        escaped(row.source),
    ]  # fmt: skip
