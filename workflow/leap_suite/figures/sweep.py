"""Accuracy and perplexity against sparsity."""

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from leap_suite.figures.panels import (
    PAGE_INCHES,
    add_legend,
    distinct,
    few_ticks,
    label_log_axis,
    method_entries,
    two_measures,
)
from leap_suite.figures.quality import points
from leap_suite.figures.style import DENSE_LINE, Look, method_looks, outlined
from leap_suite.plan.cell import DENSE
from leap_suite.results.frame import Results
from leap_suite.tables.context import Context


def sweep(results: Results, context: Context) -> Figure:
    """Average accuracy and perplexity against sparsity: one line per method, panels by model.

    Shows the numbers of figure `quality`. Markers are open, so that none hides another.
    """
    cells = points(results)
    models = distinct(cells["model"])
    looks = method_looks(distinct(cells["method"]))
    sparsities = sorted(set(cells.loc[cells["method"] != DENSE, "sparsity"]))
    figure, panels = two_measures(models)
    for (accuracy, perplexity), model in zip(panels.T, models, strict=True):
        of_model = cells[cells["model"] == model]
        _draw_panel(accuracy, of_model, looks, "average")
        few_ticks(accuracy.yaxis)
        perplexity.set_yscale("log")
        _draw_panel(perplexity, of_model, looks, "ppl")
    label_log_axis(panels[1, 0].yaxis)
    _label_sparsities(panels[0, 0], sparsities, PAGE_INCHES / max(2, len(models)))
    panels[0, 0].set_ylabel("Average accuracy (%)\n± standard error")
    panels[1, 0].set_ylabel("Perplexity\n(log scale)")
    figure.supxlabel("Sparsity")
    figure.align_ylabels(panels[:, 0])
    add_legend(figure, method_entries(looks, (cells["method"] == DENSE).any()))
    return figure


def _draw_panel(axes: Axes, points: pd.DataFrame, looks: Mapping[str, Look], measure: str) -> None:
    for value in points.loc[points["method"] == DENSE, measure]:
        axes.axhline(value, zorder=1, **DENSE_LINE)
    for method, look in looks.items():
        line = points[points["method"] == method].sort_values("sparsity")
        errors = line.get(f"{measure}_stderr")
        axes.errorbar(line["sparsity"], line[measure], errors, elinewidth=0.9, **outlined(look))


def _label_sparsities(axes: Axes, sparsities: Sequence[float], inches: float) -> None:
    if not sparsities:
        axes.set_xticks([])
        return
    margin = 0.4 * min((b - a for a, b in pairwise(sparsities)), default=0.1)
    axes.set_xlim(sparsities[0] - margin, sparsities[-1] + margin)
    # A tick each, but only as many labels as fit side by side.
    every = math.ceil(len(sparsities) / max(1, int(inches / 0.35)))
    labels = [f"{s:g}" if i % every == 0 else "" for i, s in enumerate(sparsities)]
    axes.set_xticks(sparsities, labels)
