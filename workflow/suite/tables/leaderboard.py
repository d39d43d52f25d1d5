"""The leaderboard: one line a method, in the mean over the models and sparsities that all have."""

from collections.abc import Callable
from dataclasses import replace

import pandas as pd

from suite.plan.methods import method_label
from suite.results.frame import Results, is_pruned
from suite.results.statistics import means, over_places
from suite.tables.field import Field, markdown, number_field
from suite.tables.markdown import table
from suite.tables.numbers import number, perplexity

HEADINGS = ("#", "Method", "Accuracy", "Mean rank", "Recovered", "Perplexity", "Seconds")


def leaderboard(results: Results) -> pd.DataFrame:
    """A row a method, best accuracy first: `method, average, rank, recovered_share, ppl,
    wall_seconds`.

    Seeds are averaged. Accuracy and recovered share are in percent; perplexity's mean is geometric;
    `rank` is the mean of its ranks by average accuracy, 1 the best, methods that are even share the
    mean of theirs; `wall_seconds` are those of the job that prunes or trains. NaN where something
    was not recorded. Left out are the dense model, controls, and methods that lack a place which
    another one has.
    """
    cells = results.cells
    counted = cells[is_pruned(cells) & ~cells["control"]]
    if not len(counted):
        return pd.DataFrame(columns=["method", "average", "rank", *_MEASURES])
    scores = means(counted, ["average"])["average"].unstack("method")
    whole = scores.dropna(axis="columns")
    ranks = whole.rank(axis="columns", ascending=False).mean()
    rows = [
        {"method": method, "average": whole[method].mean(), "rank": ranks[method],
         **_means(counted[counted["method"] == method])}
        for method in dict.fromkeys(counted["method"])
        if method in whole
    ]  # fmt: skip
    found = pd.DataFrame(rows, columns=["method", "average", "rank", *_MEASURES])
    return found.sort_values("average", ascending=False, kind="stable", ignore_index=True)


def leaderboard_fields(results: Results) -> list[list[Field]]:
    """The leaderboard under `HEADINGS`, the best of each column marked."""
    lines = leaderboard(results)
    columns = [
        [Field(str(place), place) for place in range(1, len(lines) + 1)],
        [Field(method_label(method)) for method in lines["method"]],
        _column(lines["average"], "max"),
        _column(lines["rank"], "min"),
        _column(lines["recovered_share"], "max"),
        _column(lines["ppl"], "min", perplexity),
        _column(lines["wall_seconds"], "min"),
    ]
    return [list(row) for row in zip(*columns, strict=True)]


def leaderboard_lines(results: Results) -> list[str]:
    """The leaderboard in Markdown."""
    return table(HEADINGS, markdown(leaderboard_fields(results)), "rlrrrrr")


def _column(values: pd.Series, best: str, printed: Callable[[float], str] = number) -> list[Field]:
    top = values.agg(best)
    return [replace(number_field(value, printed), best=value == top) for value in values]


_MEASURES = {"recovered_share": False, "ppl": True, "wall_seconds": False}  # geometric means


def _means(cells: pd.DataFrame) -> dict[str, float]:
    return {name: over_places(cells, name, geometric) for name, geometric in _MEASURES.items()}
