"""Accuracy and perplexity against tokens seen, over all models, by sparsity."""

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter

from leap_suite.figures.frontier import draw_frontier, label_measures
from leap_suite.figures.panels import add_legend, distinct, method_entries, two_measures
from leap_suite.figures.style import method_looks
from leap_suite.plan.cell import DENSE
from leap_suite.results.frame import Results
from leap_suite.tables.budget import budget_rows
from leap_suite.tables.context import Context

_INCHES = 6.0  # high enough for lines that are a point apart
# What is further than this below or above the subject's line leaves the panel.
_POINTS, _FACTOR = 5, 1.1
_MARGIN = 1.02  # factor below the lowest perplexity


def budget(results: Results, context: Context) -> Figure:
    """Accuracy above perplexity against tokens: one line per method, panels by sparsity.

    Shows the numbers of table `budget`; bars are standard errors over items. The subject's line is
    thick, and the dense model is a dashed line. Each panel ends near the subject's worst point, so
    that controls and trainings that failed do not hide the differences of the others.
    """
    rows = budget_rows(results, context)
    is_dense = rows["method"] == DENSE
    dense, rows = rows[is_dense], rows[~is_dense]
    looks = method_looks(distinct(rows["method"]))
    sparsities = distinct(rows["sparsity"])
    titles = [f"sparsity {sparsity}" for sparsity in sparsities]
    figure, panels = two_measures(titles, is_shared=False)
    if len(sparsities) > 1:
        figure.set_figheight(_INCHES)
    for (above, below), sparsity in zip(panels.T, sparsities, strict=True):
        at = rows[rows["sparsity"] == sparsity]
        draw_frontier(above, at, dense, ("tokens", "average"), looks, context.subject)
        draw_frontier(below, at, dense, ("tokens", "ppl"), looks, context.subject)
        below.set_yscale("log")
        ours = at[at["method"] == context.subject]
        if len(ours):
            _cut(above, below, ours, min([*dense["ppl"], *at["ppl"]]))
        label_measures(above, below)
    for axes in panels[:, 1:].flat:
        axes.set_ylabel("")
    panels[0, 0].xaxis.set_major_formatter(EngFormatter(sep=""))
    figure.supxlabel("Tokens seen (log scale); panels end near the worst point of the thick line")
    figure.align_ylabels(panels[:, 0])
    add_legend(figure, method_entries(looks, len(dense) > 0))
    return figure


def _cut(accuracy: Axes, perplexity: Axes, subject: pd.DataFrame, floor: float) -> None:
    """End the panels near the subject's worst point; `floor` is the lowest perplexity."""
    lowest, highest = subject["average"].min() - _POINTS, subject["ppl"].max() * _FACTOR
    accuracy.set_ylim(bottom=max(lowest, accuracy.get_ylim()[0]))
    perplexity.set_ylim(floor / _MARGIN, min(highest, perplexity.get_ylim()[1]))
