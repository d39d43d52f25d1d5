"""Comparison of methods averaged over the cells of a study, with the subject's lead over each.

A cell is a model at a sparsity; its seeds are averaged first. Standard errors are clustered by
item, since all cells of a model answer the same items (see `leap_suite.results.statistics`).
"""

import math
from collections.abc import Mapping
from typing import Any

import pandas as pd

from leap_suite.plan.methods import method_label
from leap_suite.results.frame import PLACE, Results
from leap_suite.results.statistics import average, combine, leads, over_places
from leap_suite.tables.caption import accuracy, mean_accuracy, recovered
from leap_suite.tables.context import Context
from leap_suite.tables.entries import escaped, number, perplexity
from leap_suite.tables.text import SECONDS, SECONDS_COLUMNS, Columns, captioned

_Scores = Mapping[tuple[str, float], pd.DataFrame]


def comparison(results: Results, context: Context) -> Mapping[str, str]:
    """Table of the methods, as CSV and Markdown."""
    label = method_label(context.subject)
    caption = (
        "Every method in the mean over its cells, of which each is a model at a sparsity: "
        f"{mean_accuracy(results)} (higher is better) and perplexity (lower is better, geometric "
        f"mean), and {label}'s lead in accuracy over the method, item by item. ± is a standard "
        "error, over draws of items, which all cells of a task share, and of a lead also over "
        "training seeds where several were run. "
        f"{recovered(results)} {SECONDS}"
    )
    columns: Columns = {
        "Method": lambda row: escaped(method_label(row.method)),
        "Cells": lambda row: str(row.cells),
        f"{accuracy(results.generated)} (%)": lambda row: number(
            row.average, error=row.average_stderr
        ),
        "Perplexity": lambda row: perplexity(row.ppl),
        "Recovered (%)": lambda row: number(row.recovered_share),
        f"{label}'s lead (points)": lambda row: number(row.lead, 2, "+", row.lead_stderr),
        **SECONDS_COLUMNS,
    }
    return captioned(
        results, context, comparison_rows(results, context), caption, columns, "lrrrrrrr"
    )


def comparison_rows(results: Results, context: Context) -> pd.DataFrame:
    """One row per method, in the order of the cells.

    `average` (the mean accuracy), its standard error and `recovered_share` are in percent, the
    subject's `lead` and its standard error in points over common cells, `ppl` the geometric mean.
    NaN: a lead of the subject over itself or without common cells, seconds of the dense model.
    Raises ValueError where compared checkpoints did not answer the same items.
    """
    ours = _scores(results, context.subject)
    return pd.DataFrame(
        _row(results, method, {} if method == context.subject else ours)
        for method in dict.fromkeys(results.cells["method"])
    )


def _row(results: Results, method: str, ours: _Scores) -> dict[str, Any]:
    cells = results.cells[results.cells["method"] == method]
    scores = _scores(results, method)
    places = [place for place in scores if place in ours]
    pairs = leads([ours[place] for place in places], [scores[place] for place in places])
    lead = combine(pairs) if pairs else None
    return {
        "method": method,
        "tasks": results.task_kind,
        "cells": len(scores),
        "average": over_places(cells, "average"),
        "average_stderr": combine(map(average, scores.values())).standard_error,
        "ppl": over_places(cells, "ppl", geometric=True),
        "recovered_share": over_places(cells, "recovered_share"),
        "lead": lead.difference if lead else math.nan,
        "lead_stderr": lead.standard_error if lead else math.nan,
        **{name: over_places(cells, name) for name in ("wall_seconds", "cpu_seconds")},
    }


def _scores(results: Results, method: str) -> _Scores:
    """Scores of a method by model and sparsity, in the order of the cells."""
    places = results.cells.loc[results.cells["method"] == method, PLACE].to_numpy()
    return {(model, at): results.scores_of(model, at, method) for model, at in places}
