"""LEAP's lead over the best published baseline of each cell and over ADMM: published, and ours."""

from collections.abc import Sequence

import pandas as pd

from suite.plan.cell import DENSE, LEAP
from suite.plan.methods import method_label
from suite.results.frame import PLACE, Results
from suite.tables.generated import check_real
from suite.tables.headline import differences
from suite.tables.markdown import escaped, table
from suite.tables.numbers import NONE, number
from suite.tables.published import comparable_means, read_published

RULE = (
    "A lead is LEAP's average accuracy minus a baseline's, in points. The best published baseline "
    "of a cell is taken from all sources; ours is the best of the same methods here, which may be "
    "another one."
)
HEADINGS = ("Over", "Model", "Sparsity", "Published", "Baseline", "Ours", "Our baseline", "Source")
_CELL = [*PLACE, "method"]


def leads(results: Results, published: pd.DataFrame | None = None) -> pd.DataFrame:
    """Every published lead with ours beside it, in points; ours are means over seeds.

    The columns are `against, model, sparsity, published, baseline, ours, our_baseline, source`, the
    source that of the published accuracies. Ours is NaN, and our baseline "", where LEAP or the
    baseline was not run. Raises ValueError for results on generated tasks.
    """
    check_real(results)
    known = read_published() if published is None else published
    known = known[known["measure"] == "average"].reset_index(drop=True)
    # of several published averages of a cell the best
    best = known.loc[known.groupby(_CELL, sort=False)["value"].idxmax()].set_index(_CELL)
    ours = comparable_means(results).query("measure == 'average'")["value"].droplevel("measure")
    baselines = [name for name in known["method"].unique() if name not in (DENSE, LEAP)]
    parts = []
    for name, methods in (("the best published baseline", baselines), ("ADMM", ["admm"])):
        theirs, here = (_leads(values, methods) for values in (best["value"], ours))
        here = here.rename(columns={"published": "ours", "baseline": "our_baseline"})
        parts.append(theirs.merge(here, "left", PLACE).assign(against=name))
    found = pd.concat(parts, ignore_index=True).astype({"our_baseline": object})
    found = found.fillna({"our_baseline": ""})
    cells = zip(found["model"], found["sparsity"].astype(float), found["baseline"], strict=True)
    sources = [
        dict.fromkeys(best["source"][model, sparsity, method] for method in (LEAP, baseline))
        for model, sparsity, baseline in cells
    ]
    return found.assign(source=["; ".join(of_cell) for of_cell in sources])


def _leads(averages: pd.Series, methods: Sequence[str]) -> pd.DataFrame:
    found = differences(averages, LEAP, methods, more=True)
    cells = pd.DataFrame(found["cells"] if found else [])
    columns = {"model": "model", "sparsity": "sparsity", "difference": "published"}
    return cells.reindex(columns=[*columns, "baseline"]).rename(columns=columns)


def sentences(rows: pd.DataFrame) -> list[str]:
    """What the leads over each baseline sum up to, one sentence each."""
    return [_sentence(str(name), of_name) for name, of_name in rows.groupby("against", sort=False)]


def lines(rows: pd.DataFrame) -> list[str]:
    """The sentences, the rule and a table of all leads, as Markdown."""
    shown = [[escaped(text) for text in of_row] for of_row in texts(rows)]
    return [*sentences(rows), "", RULE, "", *table(HEADINGS, shown, "llrrlrll")]


def _sentence(name: str, rows: pd.DataFrame) -> str:
    published, run = rows["published"], rows.dropna(subset="ours")
    text = (
        f"Over {name}, LEAP's published mean lead is {published.mean():+.2f} points "
        f"({published.min():+.2f} to {published.max():+.2f}, {_cells(rows)})"
    )
    if run.empty:
        return f"{text}; none of these cells was run here."
    ours, there = (f"{run[column].mean():+.2f}" for column in ("ours", "published"))
    return f"{text}; here it is {ours} over {_cells(run)}, where {there} was published."


def _cells(rows: pd.DataFrame) -> str:
    return "1 cell" if len(rows) == 1 else f"{len(rows)} cells"


def texts(rows: pd.DataFrame) -> list[list[str]]:
    """The leads as printed under `HEADINGS`."""
    return [
        [
            *(row.against, row.model, row.sparsity, number(row.published, sign="+")),
            *(method_label(row.baseline), number(row.ours, sign="+")),
            *(method_label(row.our_baseline) if row.our_baseline else NONE, row.source),
        ]
        for row in rows.itertuples()
    ]
