"""The subject of a run, judged on its grid: against the best of its opponents, and single ones."""

import json
import math
import statistics
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pandas as pd

from suite.plan.methods import method_label
from suite.results.frame import Results, is_pruned, written
from suite.results.mixed import sentence
from suite.results.statistics import Paired, combine, compare, means
from suite.tables.told import Told

SIGNIFICANT = 0.05  # p below which a difference counts as one


def headline(results: Results, told: Told) -> Mapping[str, str]:
    """`headline.json`: what `judge` finds."""
    return {"json": json.dumps(judge(results, told), indent=2, allow_nan=False) + "\n"}


def judge(results: Results, told: Told) -> dict[str, Any]:
    """Differences subject minus baseline: `subject`, `mixed`, and a list of verdicts, `against`.

    A verdict has a `name`, whether it is one of the `first`, which stand before everything else,
    and of average accuracy (percent) and perplexity the differences of all cells, as `differences`
    gives them, with a paired test over the items of accuracy, for each cell and for their mean, and
    `seeds_std`: by how much a cell's difference varies with the seed (the root of the mean variance
    over cells; null with one seed). Seeds are averaged. There is none against methods that share no
    cell with the subject, and none at all where the subject is not in the grid.
    """
    cells = results.cells[is_pruned(results.cells)]
    values = means(cells, ["average", "ppl"]) if len(cells) else None
    verdicts = []
    for name, opponents, is_first in _opponents(told):
        if values is None:
            break
        accuracy = differences(values["average"], told.subject, opponents, more=True)
        perplexity = differences(values["ppl"], told.subject, opponents, more=False)
        if accuracy is None or perplexity is None:
            continue
        _test(accuracy, results, told.subject)
        for found, measure in ((accuracy, "average"), (perplexity, "ppl")):
            found["seeds_std"] = _seeds_std(found, cells, told.subject, measure)
        verdicts.append(
            {"name": name, "first": is_first, "accuracy": accuracy, "perplexity": perplexity}
        )
    return {"subject": told.subject, "mixed": sentence(results.cells), "against": verdicts}


def differences(
    values: pd.Series, subject: str, opponents: Sequence[str], more: bool
) -> dict[str, Any] | None:
    """Subject minus the best of `opponents` in every model and sparsity that has both.

    `values` are indexed by model, sparsity and method; `more` says whether more is better. Mean,
    minimum, maximum and standard deviation of the differences (`cells_std`, null for a single
    cell), and the number of cells in which the subject is better.
    """
    places = values.index.droplevel("method").unique()
    by_method = values.unstack("method").reindex(places)
    present = [name for name in opponents if name in by_method]
    if subject not in by_method or not present:
        return None
    of_opponents = by_method[present].dropna(how="all")
    found = pd.DataFrame(
        {
            "value": by_method[subject],
            "baseline": of_opponents.agg("idxmax" if more else "idxmin", axis="columns"),
            "baseline_value": of_opponents.agg("max" if more else "min", axis="columns"),
        },
        index=places,
    ).dropna()
    if found.empty:
        return None
    found["difference"] = found["value"] - found["baseline_value"]
    rows = found.reset_index().assign(sparsity=lambda rows: rows["sparsity"].map(written))
    difference = found["difference"]
    return {
        "mean": statistics.fmean(difference),
        "min": difference.min(),
        "max": difference.max(),
        "cells_std": statistics.stdev(difference) if len(difference) > 1 else None,
        "cells_better": int((difference > 0 if more else difference < 0).sum()),
        "cells": rows.to_dict("records"),
    }


def _opponents(told: Told) -> Iterator[tuple[str, Sequence[str], bool]]:
    """Whom the subject is judged against, and whether that verdict is one of the first."""
    yield f"the best {told.kind} baseline", told.kindred, True
    if set(told.opponents) - set(told.kindred):
        yield "the best of all baselines", told.opponents, True
    for name in told.against:
        yield method_label(name), [name], False


def _seeds_std(
    entry: Mapping[str, Any], cells: pd.DataFrame, subject: str, measure: str
) -> float | None:
    """Root of the mean variance over seeds; a baseline that lacks a seed has its mean there."""
    seeds = cells.set_index(["model", "sparsity", "method"])[["seed", measure]].sort_index()
    variances = []
    for row in entry["cells"]:
        place = (row["model"], float(row["sparsity"]))
        ours, theirs = (
            seeds.loc[[(*place, method)]].set_index("seed")[measure]
            for method in (subject, row["baseline"])
        )
        found = ours - theirs.reindex(ours.index).fillna(row["baseline_value"])
        if len(found) > 1:
            variances.append(found.var())
    return math.sqrt(statistics.fmean(variances)) if variances else None


def _test(entry: dict[str, Any], results: Results, subject: str) -> None:
    """Add standard errors and p values of paired tests to an entry and its cells."""
    tests = []
    for row in entry["cells"]:
        place = (row["model"], float(row["sparsity"]))
        ours, theirs = (results.scores_of(*place, name) for name in (subject, row["baseline"]))
        test = compare(ours, theirs)
        tests.append(test)
        row |= {"standard_error": test.standard_error, "p_value": test.p_value}
    whole = combine(tests)
    entry |= {
        "standard_error": whole.standard_error,
        "p_value": whole.p_value,
        "cells_significantly_better": _significant(tests, 1),
        "cells_significantly_worse": _significant(tests, -1),
    }


def _significant(tests: Sequence[Paired], sign: int) -> int:
    return sum(sign * t.difference > 0 and t.p_value < SIGNIFICANT for t in tests)
