"""Frontiers: accuracy and perplexity of methods against what they cost, over all models."""

from collections.abc import Mapping
from typing import Any

import pandas as pd
from matplotlib.axes import Axes

from leap_suite.figures.panels import few_ticks, label_log_axis
from leap_suite.figures.style import DENSE_LINE, Look, outlined

_SUBJECT_LINE: dict[str, Any] = {"linewidth": 2, "zorder": 3}


def draw_frontier(
    axes: Axes,
    rows: pd.DataFrame,
    dense: pd.DataFrame,
    columns: tuple[str, str],
    looks: Mapping[str, Look],
    subject: str,
) -> None:
    """A line per method over two `columns`, the subject's thick, and a dashed line for dense.

    Bars are the standard errors of the second column, where `rows` have them.
    """
    x, y = columns
    for value in dense[y]:
        axes.axhline(value, zorder=1, **DENSE_LINE)
    for method, look in looks.items():
        line = rows[rows["method"] == method]
        style = outlined(look) | (_SUBJECT_LINE if method == subject else {})
        axes.errorbar(line[x], line[y], line.get(f"{y}_stderr"), elinewidth=0.6, **style)


def label_measures(accuracy: Axes, perplexity: Axes) -> None:
    """Scales and labels of the first panels of accuracy and perplexity, and their log axis."""
    few_ticks(accuracy.yaxis)
    accuracy.set_ylabel("Average accuracy (%)\n± standard error")
    perplexity.set_yscale("log")
    label_log_axis(perplexity.yaxis)
    perplexity.set_ylabel("Perplexity\n(log scale)")
    accuracy.set_xscale("log")
    label_log_axis(accuracy.xaxis, most=4)
