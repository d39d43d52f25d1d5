"""Accuracy and perplexity against shipped bytes, over all models, at one number of tokens."""

import math

import matplotlib as mpl
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter

from leap_suite.figures.frontier import draw_frontier, label_measures
from leap_suite.figures.panels import add_legend, distinct, method_entries, new_figure
from leap_suite.figures.style import method_looks
from leap_suite.plan.cell import DENSE
from leap_suite.results.frame import Results
from leap_suite.tables.budget import budget_rows
from leap_suite.tables.context import Context


def shipped(results: Results, context: Context) -> Figure:
    """Accuracy beside perplexity against shipped bytes: one line per method over sparsities.

    All are at the subject's own number of tokens, or at the nearest that it has in the study.
    Sparsities are written at the points of the subject and of the worst of the methods that ship
    more. The dense model is a dashed line.
    """
    rows = budget_rows(results, context)
    dense, rows = rows[rows["method"] == DENSE], rows[rows["method"] != DENSE]
    tokens = _nearest_tokens(rows, context.subject)
    rows = rows[rows["tokens"] == tokens]
    looks = method_looks(distinct(rows["method"]))
    figure = new_figure(3.2)
    panels = figure.subplots(1, 2, sharex=True)
    for axes, measure, worst in zip(panels, ("average", "ppl"), ("idxmin", "idxmax"), strict=True):
        draw_frontier(axes, rows, dense, ("shipped_bytes", measure), looks, context.subject)
        ours = rows["method"] == context.subject
        more = rows[rows["shipped_bytes"] > rows.loc[ours, "shipped_bytes"].max()]
        means = more.groupby("method")[measure].mean()
        named = ours | (rows["method"] == (means.agg(worst) if len(means) else ""))
        _label_sparsities(axes, rows[named], measure)
    panels[0].margins(x=0.1)
    label_measures(*panels)
    panels[0].xaxis.set_major_formatter(EngFormatter("B"))
    figure.supxlabel(f"Shipped bytes (log scale), {tokens:,} tokens seen")
    add_legend(figure, method_entries(looks, len(dense) > 0))
    return figure


def _nearest_tokens(rows: pd.DataFrame, subject: str) -> int:
    """The subject's number of tokens with the share nearest to 1; of any method without it."""
    ours = rows[rows["method"] == subject]
    chosen = ours if len(ours) else rows
    distance = chosen["share"].map(math.log).abs().fillna(0)
    return int(chosen.loc[distance.idxmin(), "tokens"])


def _label_sparsities(axes: Axes, rows: pd.DataFrame, measure: str) -> None:
    """Write each point's sparsity to its right."""
    size = mpl.rcParams["xtick.labelsize"]
    for row in rows.to_dict("records"):
        axes.annotate(
            row["sparsity"],
            (row["shipped_bytes"], row[measure]),
            (5, 0),
            textcoords="offset points",
            va="center",
            fontsize=size,
        )
