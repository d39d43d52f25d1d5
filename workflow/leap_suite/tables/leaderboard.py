"""Leaderboard: one row per method, averaged over the cells that all methods have."""

from collections.abc import Callable
from dataclasses import replace

import pandas as pd

from leap_suite.plan.methods import method_label
from leap_suite.results.frame import Results, is_pruned
from leap_suite.results.statistics import means, over_places
from leap_suite.tables.entries import Field, markdown, number, number_field, perplexity, table

HEADINGS = ("#", "Method", "Accuracy", "Mean rank", "Recovered", "Perplexity", "Seconds")
_MEASURES = ("recovered_share", "ppl", "wall_seconds")
_COLUMNS = ["method", "average", "rank", *_MEASURES]


def leaderboard(results: Results) -> pd.DataFrame:
    """Mean results by method, best accuracy first: `method, average, rank, recovered_share, ppl,
    wall_seconds`.

    Seeds are averaged. Accuracy and recovered share are in percent; perplexity is a geometric mean;
    `rank` is the mean rank by average accuracy, 1 the best, ties sharing their mean rank;
    `wall_seconds` are those of the pruning or training job. NaN where something was not recorded.
    Excludes the dense model, controls, and methods that lack a model or sparsity of another one.
    """
    cells = results.cells
    counted = cells[is_pruned(cells) & ~cells["control"]]
    if not len(counted):
        return pd.DataFrame(columns=_COLUMNS)
    scores = means(counted, ["average"])["average"].unstack("method")
    whole = scores.dropna(axis="columns")
    ranks = whole.rank(axis="columns", ascending=False).mean()
    rows = [
        [method, whole[method].mean(), ranks[method]]
        + [over_places(of_method, name, geometric=name == "ppl") for name in _MEASURES]
        for method, of_method in counted.groupby("method", sort=False)
        if method in whole
    ]
    found = pd.DataFrame(rows, columns=_COLUMNS)
    return found.sort_values("average", ascending=False, kind="stable", ignore_index=True)


def leaderboard_fields(results: Results) -> list[list[Field]]:
    """Rows under `HEADINGS`, the best entry of each column marked."""
    rows = leaderboard(results)
    columns = [
        [Field(str(place), place) for place in range(1, len(rows) + 1)],
        [Field(method_label(method)) for method in rows["method"]],
        _column(rows["average"], "max"),
        _column(rows["rank"], "min"),
        _column(rows["recovered_share"], "max"),
        _column(rows["ppl"], "min", perplexity),
        _column(rows["wall_seconds"], "min"),
    ]
    return [list(row) for row in zip(*columns, strict=True)]


def leaderboard_lines(results: Results) -> list[str]:
    """Leaderboard as Markdown."""
    return table(HEADINGS, markdown(leaderboard_fields(results)), "rlrrrrr")


def _column(values: pd.Series, best: str, form: Callable[[float], str] = number) -> list[Field]:
    top = values.agg(best)
    return [replace(number_field(value, form), best=value == top) for value in values]
