"""LEAP's lead over the best published baseline of each cell and over ADMM: published, and ours."""

import math
import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from suite.plan.cell import LEAP
from suite.plan.methods import method_label
from suite.results.frame import Results
from suite.results.statistics import means
from suite.tables.generated import check_real
from suite.tables.headline import differences
from suite.tables.markdown import escaped, table
from suite.tables.published import (
    Published,
    averages,
    baselines,
    best,
    comparable,
    read_published,
)

ADMM = "admm"
RULE = (
    "A lead is LEAP's average accuracy minus a baseline's, in points. The best published baseline "
    "of a cell is taken from all sources; ours is the best of the same methods here, which may be "
    "another one."
)
HEADINGS = ("Over", "Model", "Sparsity", "Published", "Baseline", "Ours", "Our baseline", "Source")


@dataclass(frozen=True)
class Lead:
    """LEAP's average accuracy minus a baseline's in one cell, in points.

    `source` that of the published accuracies. Ours is NaN,
    and our baseline empty, where LEAP or the baseline was not run.
    """

    against: str
    model: str
    sparsity: str
    published: float
    baseline: str
    ours: float
    our_baseline: str
    source: str


def leads(results: Results, published: Sequence[Published] | None = None) -> list[Lead]:
    """Every published lead with ours beside it; ours are means over seeds.

    Raises ValueError for results on generated tasks.
    """
    check_real(results)
    published = read_published() if published is None else published
    theirs, ours = averages(published), means(results.cells, ["average"])["average"]
    if "average" not in comparable(results):
        ours = ours[:0]
    rows = best(published)
    against = {"the best published baseline": baselines(published), "ADMM": [ADMM]}
    return [
        lead
        for name, methods in against.items()
        for lead in _leads(name, methods, theirs, ours, rows)
    ]


def _leads(
    name: str,
    methods: Sequence[str],
    theirs: pd.Series,
    ours: pd.Series,
    rows: Mapping[tuple[str, str, str], Published],
) -> Iterator[Lead]:
    published = differences(theirs, LEAP, methods, more=True)
    measured = differences(ours, LEAP, methods, more=True)
    here = (
        {(cell["model"], cell["sparsity"]): cell for cell in measured["cells"]} if measured else {}
    )
    for cell in published["cells"] if published else []:
        place = (cell["model"], cell["sparsity"])
        sources = [rows[(*place, method)].source for method in (LEAP, cell["baseline"])]
        yield Lead(
            name,
            *place,
            cell["difference"],
            cell["baseline"],
            here[place]["difference"] if place in here else math.nan,
            here[place]["baseline"] if place in here else "",
            "; ".join(dict.fromkeys(sources)),
        )


def sentences(rows: Sequence[Lead]) -> list[str]:
    """What the leads over each baseline sum up to, one sentence each."""
    names = dict.fromkeys(row.against for row in rows)
    return [_sentence(name, [row for row in rows if row.against == name]) for name in names]


def lines(rows: Sequence[Lead]) -> list[str]:
    """The sentences, the rule and a table of all leads, as Markdown."""
    shown = [[escaped(text) for text in texts(row)] for row in rows]
    return [*sentences(rows), "", RULE, "", *table(HEADINGS, shown, "llrrlrll")]


def _sentence(name: str, rows: Sequence[Lead]) -> str:
    published = [row.published for row in rows]
    run = [row for row in rows if not math.isnan(row.ours)]
    text = (
        f"Over {name}, LEAP's published mean lead is {statistics.fmean(published):+.2f} points "
        f"({min(published):+.2f} to {max(published):+.2f}, {_cells(rows)})"
    )
    if not run:
        return f"{text}; none of these cells was run here."
    ours, there = (
        f"{statistics.fmean(values):+.2f}"
        for values in ([row.ours for row in run], [row.published for row in run])
    )
    return f"{text}; here it is {ours} over {_cells(run)}, where {there} was published."


def _cells(rows: Sequence[Lead]) -> str:
    return "1 cell" if len(rows) == 1 else f"{len(rows)} cells"


def texts(row: Lead) -> list[str]:
    """A lead as printed under `HEADINGS`."""
    ours = "–" if math.isnan(row.ours) else f"{row.ours:+.2f}"
    ours_over = method_label(row.our_baseline) if row.our_baseline else "–"
    return [
        row.against, row.model, row.sparsity, f"{row.published:+.2f}", method_label(row.baseline),
        ours, ours_over, row.source,
    ]  # fmt: skip
