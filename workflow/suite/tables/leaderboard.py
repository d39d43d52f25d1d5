"""The leaderboard: one line a method, in the mean over the models and sparsities that all have."""

import pandas as pd

from suite.plan.methods import method_label
from suite.results.frame import Results, is_pruned
from suite.results.statistics import means, over_places
from suite.tables.markdown import escaped, table
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


def leaderboard_lines(results: Results) -> list[str]:
    """The leaderboard in Markdown."""
    rows = [
        [
            str(place),
            escaped(method_label(line.method)),
            number(line.average),
            number(line.rank),
            number(line.recovered_share),
            perplexity(line.ppl),
            number(line.wall_seconds),
        ]
        for place, line in enumerate(leaderboard(results).itertuples(), 1)
    ]
    return table(HEADINGS, rows, "rlrrrrr")


_MEASURES = {"recovered_share": False, "ppl": True, "wall_seconds": False}  # geometric means


def _means(cells: pd.DataFrame) -> dict[str, float]:
    return {name: over_places(cells, name, geometric) for name, geometric in _MEASURES.items()}
