"""LEAP's published leads over the best published baseline and over ADMM, beside ours."""

import pandas as pd

from leap_suite.plan.cell import DENSE, LEAP
from leap_suite.plan.methods import method_label
from leap_suite.results.frame import PLACE, Results
from leap_suite.tables.caption import check_real
from leap_suite.tables.entries import NONE, escaped, number, table
from leap_suite.tables.headline import differences
from leap_suite.tables.published import comparable_means, read_published

RULE = (
    "A lead is LEAP's average accuracy minus a baseline's, in points. The best published baseline "
    "of a cell is taken from all sources; ours is the best of the same methods here, which may be "
    "another one."
)
HEADINGS = ("Over", "Model", "Sparsity", "Published", "Baseline", "Ours", "Our baseline", "Source")
_CELL = [*PLACE, "method"]


def leads(results: Results, published: pd.DataFrame | None = None) -> pd.DataFrame:
    """Every published lead and ours, in points; ours are means over seeds.

    Columns: `against, model, sparsity, published, baseline, ours, our_baseline, source`, the source
    of the published accuracies. Ours is NaN and our baseline "" where LEAP or the baseline was not
    run. Raises ValueError for results on generated tasks.
    """
    check_real(results)
    known = read_published() if published is None else published
    known = known[known["measure"] == "average"].reset_index(drop=True)
    # the best of several published averages of a cell
    best = known.loc[known.groupby(_CELL, sort=False)["value"].idxmax()].set_index(_CELL)
    ours = comparable_means(results).query("measure == 'average'")["value"].droplevel("measure")
    baselines = [name for name in known["method"].unique() if name not in (DENSE, LEAP)]
    parts = []
    for name, methods in (("the best published baseline", baselines), ("ADMM", ["admm"])):
        theirs, here = (differences(v, LEAP, methods, more=True) for v in (best["value"], ours))
        parts.append(theirs.merge(here, "left", PLACE, suffixes=("", "_here")).assign(against=name))
    columns = {
        "difference": "published",
        "difference_here": "ours",
        "baseline_here": "our_baseline",
    }
    found = pd.concat(parts, ignore_index=True).rename(columns=columns)
    cells = zip(found["model"], found["sparsity"].astype(float), found["baseline"], strict=True)
    sources = [
        "; ".join(dict.fromkeys(best["source"][model, at, name] for name in (LEAP, baseline)))
        for model, at, baseline in cells
    ]
    found = found.astype({"our_baseline": object}).fillna({"our_baseline": ""})
    return found.assign(source=sources)


def sentences(rows: pd.DataFrame) -> list[str]:
    """Mean and range of the leads over each baseline, one sentence each."""
    return [_sentence(str(name), of_name) for name, of_name in rows.groupby("against", sort=False)]


def lines(rows: pd.DataFrame) -> list[str]:
    """Sentences, rule and table of all leads, as Markdown."""
    cells = [[escaped(text) for text in row] for row in texts(rows)]
    return [*sentences(rows), "", RULE, "", *table(HEADINGS, cells, "llrrlrll")]


def _sentence(name: str, rows: pd.DataFrame) -> str:
    published, run = rows["published"], rows.dropna(subset="ours")
    cells, cells_run = (f"{len(of)} cell{'s' * (len(of) != 1)}" for of in (rows, run))
    text = (
        f"Over {name}, LEAP's published mean lead is {published.mean():+.2f} points "
        f"({published.min():+.2f} to {published.max():+.2f}, {cells})"
    )
    if run.empty:
        return f"{text}; none of these cells was run here."
    ours, there = (f"{run[column].mean():+.2f}" for column in ("ours", "published"))
    return f"{text}; here it is {ours} over {cells_run}, where {there} was published."


def texts(rows: pd.DataFrame) -> list[list[str]]:
    """Formatted rows under `HEADINGS`."""
    return [
        [
            *(row.against, row.model, row.sparsity, number(row.published, sign="+")),
            *(method_label(row.baseline), number(row.ours, sign="+")),
            *(method_label(row.our_baseline) if row.our_baseline else NONE, row.source),
        ]
        for row in rows.itertuples()
    ]
