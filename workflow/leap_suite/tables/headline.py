"""Headline: the subject of a run against the best of its baselines and against single ones."""

import json
import math
import statistics
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pandas as pd

from leap_suite.plan.methods import method_label
from leap_suite.results.frame import PLACE, Results, is_pruned, written
from leap_suite.results.mixed import sentence
from leap_suite.results.statistics import combine, holm, leads, means
from leap_suite.tables.context import Context

SIGNIFICANT = 0.05  # level


def headline(results: Results, context: Context) -> Mapping[str, str]:
    """`headline.json`: all verdicts."""
    return {"json": json.dumps(judge(results, context), indent=2, allow_nan=False) + "\n"}


def judge(results: Results, context: Context) -> dict[str, Any]:
    """Verdicts on the subject: `subject`, `mixed` and a list of verdicts, `against`.

    A verdict has a `name`, `first` (whether it leads the summary), and differences subject minus
    baseline of average `accuracy` (percent) and `perplexity`: `mean, min, max`, their standard
    deviation between cells (`cells_std`) and between seeds (`seeds_std`: root of the mean variance
    over cells), each null for a single one, the count `cells_better`, and all `cells`. Accuracy
    also has paired tests over items, of each cell and of their mean, whose `p_holm` is adjusted for
    the number of verdicts, the same by normalised accuracy (`norm`: mean, error, p; null where no
    task has it), and the points that each task adds to the mean, `by_task`. Errors also
    cover training seeds if the subject has several (`covers_seeds`); `item_error` does not. Seeds
    are averaged. Opponents that share no cell with the subject have no verdict.
    """
    cells = results.cells[is_pruned(results.cells)]
    if not len(cells):
        return {"subject": context.subject, "mixed": sentence(results.cells), "against": []}
    values = means(cells, ["average", "ppl"])
    verdicts = []
    for name, opponents, is_first in _opponents(context):
        verdict: dict[str, Any] = {"name": name, "first": is_first}
        for title, measure in (("accuracy", "average"), ("perplexity", "ppl")):
            more = title == "accuracy"
            found = differences(values[measure], context.subject, opponents, more)
            if len(found):
                spread = {"seeds_std": _seeds_std(found, cells, context.subject, measure)}
                found, tests = _tested(found, results, context.subject) if more else (found, {})
                verdict[title] = {**_summary(found, more), **tests, **spread}
        if {"accuracy", "perplexity"} <= verdict.keys():
            verdicts.append(verdict)
    adjusted = holm([verdict["accuracy"]["p_value"] for verdict in verdicts])
    for verdict, p_value in zip(verdicts, adjusted, strict=True):
        verdict["accuracy"]["p_holm"] = p_value
    return {"subject": context.subject, "mixed": sentence(results.cells), "against": verdicts}


def differences(
    values: pd.Series, subject: str, opponents: Sequence[str], more: bool
) -> pd.DataFrame:
    """Subject minus the best of `opponents`, a row per model and sparsity that has both.

    `values` are indexed by model, sparsity and method; `more` says whether more is better. Columns:
    `model, sparsity, value, baseline, baseline_value, difference`.
    """
    places = values.index.droplevel("method").unique()
    columns = dict.fromkeys([subject, *opponents])
    by_method = values.unstack("method").reindex(places, columns=columns)
    present = by_method[[*opponents]].dropna(how="all")
    found = pd.DataFrame(
        {
            "value": by_method[subject],
            "baseline": present.agg("idxmax" if more else "idxmin", axis="columns"),
            "baseline_value": present.agg("max" if more else "min", axis="columns"),
        },
        index=places,
    ).dropna()
    found["difference"] = found["value"] - found["baseline_value"]
    return found.reset_index().assign(sparsity=lambda rows: rows["sparsity"].map(written))


def _opponents(context: Context) -> Iterator[tuple[str, Sequence[str], bool]]:
    """Name and methods of each comparison, and whether it leads the summary."""
    yield f"the best {context.kind} baseline", context.kindred, True
    if set(context.opponents) - set(context.kindred):
        yield "the best of all baselines", context.opponents, True
    for name in context.against:
        yield method_label(name), [name], False


def _summary(found: pd.DataFrame, more: bool) -> dict[str, Any]:
    difference = found["difference"]
    return {
        "mean": statistics.fmean(difference),
        "min": difference.min(),
        "max": difference.max(),
        "cells_std": statistics.stdev(difference) if len(difference) > 1 else None,
        "cells_better": int((difference > 0 if more else difference < 0).sum()),
        "cells": found.to_dict("records"),
    }


def _seeds_std(
    found: pd.DataFrame, cells: pd.DataFrame, subject: str, measure: str
) -> float | None:
    """Root of the mean variance over seeds; a baseline that lacks a seed has its mean there."""
    seeds = cells.set_index([*PLACE, "method", "seed"])[measure].sort_index()
    variances = []
    for row in found.itertuples():
        place = (row.model, float(row.sparsity))
        ours, theirs = seeds[(*place, subject)], seeds[(*place, row.baseline)]
        if len(ours) > 1:
            theirs = theirs.reindex(ours.index, fill_value=row.baseline_value)
            variances.append((ours - theirs).var())
    return math.sqrt(statistics.fmean(variances)) if variances else None


def _tested(
    found: pd.DataFrame, results: Results, subject: str
) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Paired tests of the cells, as two more columns, and of their mean."""
    places = [(row.model, float(row.sparsity), row.baseline) for row in found.itertuples()]

    def scores(norm: bool = False) -> list[list[pd.DataFrame]]:
        """Of the subject, and of the baseline of each cell."""
        ours = [results.scores_of(model, at, subject, norm) for model, at, _ in places]
        theirs = [results.scores_of(model, at, name, norm) for model, at, name in places]
        return [ours, theirs]

    ours, theirs = scores()
    tests = leads(ours, theirs)
    norm = combine(leads(*scores(norm=True))) if len(results.norm_scores) else None
    whole, titles = combine(tests), {task.name: task.title for task in results.tasks}
    p_values = pd.Series([test.p_value for test in tests])
    found = found.assign(standard_error=[test.standard_error for test in tests], p_value=p_values)
    significant = found["difference"][p_values < SIGNIFICANT]
    return found, {
        "standard_error": whole.standard_error,
        "item_error": whole.item_error,
        "covers_seeds": any(of_cell.shape[1] > 1 for of_cell in ours),
        "p_value": whole.p_value,
        "norm": norm and [norm.difference, norm.standard_error, norm.p_value],
        "by_task": {titles[name]: points for name, points in whole.parts.items()},
        "cells_significantly_better": int((significant > 0).sum()),
        "cells_significantly_worse": int((significant < 0).sum()),
    }
