"""Our numbers beside the published ones, and which were reproduced."""

import math
from collections.abc import Mapping
from functools import partial

import numpy as np
import pandas as pd

from leap_suite.plan.methods import method_label
from leap_suite.results.frame import PLACE, Results, written
from leap_suite.tables import published_leads
from leap_suite.tables.caption import check_real
from leap_suite.tables.context import Context
from leap_suite.tables.entries import Field, markdown, number, number_field, perplexity, table
from leap_suite.tables.published import MEASURES, NUMBER, comparable_means, read_published
from leap_suite.tables.text import csv_text, lines_text, mixed_lines

REPRODUCED, DEVIATES, NOT_RUN = "reproduced", "deviates", "not run"
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
HEADINGS = ("Model", "Sparsity", "Method", "Measure", "Ours", "Published", "Difference",
            "Combined s.e.", "Verdict", "Source")  # fmt: skip


def against_published(results: Results, context: Context) -> Mapping[str, str]:
    """All comparisons as CSV; averages, perplexities and LEAP's leads as Markdown."""
    rows = compare(results, read_published())
    cells = markdown(fields(rows[rows["measure"].isin(["average", "ppl"])]))
    # standard errors are in the CSV only
    headings, *cells = ([*row[:7], *row[8:]] for row in (HEADINGS, *cells))
    lines = [
        *("# Against the published numbers", "", RULE, "", summary(rows), ""),
        *table(headings, cells, "lrllrrrll"),
        *mixed_lines(results),
        *("", "## LEAP's leads", "", *published_leads.lines(published_leads.leads(results))),
    ]
    return {"csv": csv_text(rows), "md": lines_text(lines)}


def compare(results: Results, published: pd.DataFrame) -> pd.DataFrame:
    """Every published measure of every (model, sparsity, method) that was run or published.

    Columns: `model, sparsity, method, measure, ours, published, difference, combined_stderr,
    verdict, source`. Missing numbers are NaN, accuracies in percent, ours means over seeds; a
    number with several published values has a row for each, with all sources of the value. Raises
    ValueError for results on generated tasks.
    """
    check_real(results)
    ours = comparable_means(results).reset_index()
    theirs = published.groupby([*NUMBER, "value"], sort=False)["source"].agg("; ".join)
    places = pd.concat([theirs.index.to_frame(), ours])[[*PLACE, "method"]].drop_duplicates()
    rows = places.merge(pd.Series(MEASURES, name="measure"), "cross")
    rows = rows.merge(ours.rename(columns={"value": "ours"}), "left", NUMBER)
    rows = rows.merge(theirs.reset_index().rename(columns={"value": "published"}), "left", NUMBER)
    source, combined = rows.pop("source").fillna(""), math.sqrt(2) * rows.pop("stderr")
    difference = rows["ours"] - rows["published"]
    of_share = WITHIN_SHARE * rows["published"]
    margin = of_share.where(rows["measure"] == "ppl", WITHIN_ERRORS * combined)
    verdicts = np.where(difference.abs() <= margin, REPRODUCED, DEVIATES)
    missing = [rows["published"].isna(), rows["ours"].isna()]
    return rows.assign(
        sparsity=rows["sparsity"].map(written),
        difference=difference,
        combined_stderr=combined,
        verdict=np.select(missing, ["not published", NOT_RUN], verdicts),
        source=source,
    )


def summary(rows: pd.DataFrame) -> str:
    """Counts of each verdict on published numbers."""
    counts = rows["verdict"].value_counts()
    return ", ".join(f"{v}: {counts.get(v, 0)}" for v in (REPRODUCED, DEVIATES, NOT_RUN)) + "."


def fields(rows: pd.DataFrame) -> list[list[Field]]:
    """Comparisons under `HEADINGS`."""
    return [
        [
            *(Field(row.model), Field(row.sparsity), Field(method_label(row.method))),
            Field(row.measure),
            number_field(row.ours, printed),
            number_field(row.published, printed),
            number_field(row.difference, partial(printed, sign="+")),
            number_field(row.combined_stderr),
            *(Field(row.verdict), Field(row.source)),
        ]
        for row in rows.itertuples()
        for printed in [perplexity if row.measure == "ppl" else number]
    ]
