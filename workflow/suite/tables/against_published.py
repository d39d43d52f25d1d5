"""Our numbers beside the paper's: what was reproduced, by one stated rule."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import pandas as pd

from suite.plan.methods import method_label
from suite.tables.evaluations import TASKS, Cell
from suite.tables.main import markdown_text, write_frame, write_lines
from suite.tables.published import Published

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
    "over the same text, whose choice is no error at all. Means over seeds where there are several."
)


@dataclass(frozen=True)
class Comparison:
    """One number of ours and of the paper; NaN where there is none. Accuracies in percent."""

    model: str
    sparsity: str
    method: str
    measure: str
    ours: float
    published: float
    difference: float
    combined_stderr: float
    verdict: str


def compare(cells: Sequence[Cell], published: Sequence[Published]) -> list[Comparison]:
    """Every (model, sparsity, method, measure) that was run or published."""
    ours = _ours(cells)
    theirs = {(row.model, row.sparsity, row.method): row for row in published}
    places = list(dict.fromkeys([*theirs, *ours]))
    return [row for place in places for row in _rows(place, ours.get(place), theirs.get(place))]


def _ours(cells: Sequence[Cell]) -> dict[tuple[str, str, str], list[Cell]]:
    places: dict[tuple[str, str, str], list[Cell]] = {}
    for cell in cells:
        places.setdefault((cell.model, cell.sparsity, cell.method), []).append(cell)
    return places


def _rows(
    place: tuple[str, str, str], ours: list[Cell] | None, theirs: Published | None
) -> Iterator[Comparison]:
    for measure in MEASURES:
        value, error = _measured(ours, measure) if ours else (math.nan, math.nan)
        known = _published(theirs, measure) if theirs else math.nan
        combined = math.sqrt(2) * error
        verdict = _verdict(value, known, _margin(measure, known, combined))
        yield Comparison(*place, measure, value, known, value - known, combined, verdict)


def _margin(measure: str, published: float, combined: float) -> float:
    return WITHIN_SHARE * published if measure == "ppl" else WITHIN_ERRORS * combined


def _verdict(ours: float, published: float, margin: float) -> str:
    if math.isnan(published):
        return NOT_PUBLISHED
    if math.isnan(ours):
        return NOT_RUN
    return REPRODUCED if abs(ours - published) <= margin else DEVIATES


def _measured(cells: Sequence[Cell], measure: str) -> tuple[float, float]:
    """Mean over seeds, and the standard error of one seed's value."""
    values, errors = zip(*(_value(cell, measure) for cell in cells), strict=True)
    return sum(values) / len(cells), sum(errors) / len(cells)


def _value(cell: Cell, measure: str) -> tuple[float, float]:
    if measure == "ppl":
        return cell.perplexity, cell.perplexity_stderr
    if measure == "average":
        return cell.average, cell.average_stderr
    return cell.accuracy[measure], cell.stderr[measure]


def _published(row: Published, measure: str) -> float:
    if measure == "ppl":
        return row.perplexity
    return row.average if measure == "average" else row.accuracy.get(measure, math.nan)


def counts(rows: Sequence[Comparison]) -> dict[str, int]:
    """How many rows have each verdict, but for what was not published."""
    return {v: sum(row.verdict == v for row in rows) for v in (REPRODUCED, DEVIATES, NOT_RUN)}


def write_against_published(rows: Sequence[Comparison], csv: Path, markdown: Path) -> None:
    """Write the rows as CSV, and averages and perplexities as a page."""
    write_frame(pd.DataFrame([asdict(row) for row in rows]), csv)
    header = [
        "Model",
        "Sparsity",
        "Method",
        "Measure",
        "Ours",
        "Published",
        "Difference",
        "Verdict",
    ]
    lines = ["# Against the published numbers", "", RULE, ""]
    lines += [", ".join(f"{verdict}: {count}" for verdict, count in counts(rows).items()) + "."]
    lines += [
        "",
        f"| {' | '.join(header)} |",
        "| --- | ---: | --- | --- | ---: | ---: | ---: | --- |",
    ]
    lines += [_line(row) for row in rows if row.measure in ("average", "ppl")]
    write_lines(markdown, lines)


def _line(row: Comparison) -> str:
    texts = [
        markdown_text(row.model), row.sparsity, method_label(row.method), row.measure,
        _print(row.ours), _print(row.published), _print(row.difference, "+"), row.verdict,
    ]  # fmt: skip
    return f"| {' | '.join(texts)} |"


def _print(value: float, sign: str = "") -> str:
    return "–" if math.isnan(value) else f"{value:{sign}.2f}"
