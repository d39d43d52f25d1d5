"""Leaderboard: one row per method, averaged over the cells that all methods have."""

from collections.abc import Callable
from dataclasses import replace

import pandas as pd

from leap_suite.plan.cell import DENSE
from leap_suite.plan.methods import method_label
from leap_suite.results.frame import PLACE, Results, is_pruned
from leap_suite.results.statistics import means, over_places
from leap_suite.tables.entries import (
    NONE,
    Field,
    markdown,
    number,
    number_field,
    perplexity,
    table,
)

HEADINGS = ("#", "Method", "Accuracy", "Mean rank", "Recovered", "Perplexity", "Seconds")
RANK = (
    "Mean rank: at each model and sparsity the methods are ranked by accuracy, 1 the best, and the "
    "mean of these ranks is shown."
)
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
    """Rows under `HEADINGS`: the dense model, without a rank, and the methods, the best entry of
    each column marked."""
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
    methods = [list(row) for row in zip(*columns, strict=True)]
    return [*_dense(results), *methods] if methods else []


def _dense(results: Results) -> list[list[Field]]:
    """Row of the dense model, if there is one, over the models and sparsities of the methods."""
    cells = results.cells
    places = cells.loc[is_pruned(cells) & ~cells["control"], PLACE].drop_duplicates()
    dense = places.merge(cells[~is_pruned(cells)].drop(columns="sparsity"), on="model")
    if not len(dense):
        return []
    accuracy, recovered = (over_places(dense, name) for name in ("average", "recovered_share"))
    ppl = number_field(over_places(dense, "ppl", geometric=True), perplexity)
    none = Field(NONE)
    return [[Field(NONE, 0), Field(method_label(DENSE)), number_field(accuracy), none,
             number_field(recovered), ppl, none]]  # fmt: skip


def leaderboard_lines(results: Results) -> list[str]:
    """Leaderboard as Markdown."""
    return table(HEADINGS, markdown(leaderboard_fields(results)), "rlrrrrr")


def _column(values: pd.Series, best: str, form: Callable[[float], str] = number) -> list[Field]:
    top = values.agg(best)
    return [replace(number_field(value, form), best=value == top) for value in values]
