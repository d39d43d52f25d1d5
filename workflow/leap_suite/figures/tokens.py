"""Accuracy and perplexity against tokens seen."""

from collections.abc import Mapping
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter

from leap_suite.figures.panels import (
    add_legend,
    distinct,
    label_log_axis,
    method_entries,
    two_measures,
)
from leap_suite.figures.style import DENSE_LINE, Look, line_style, method_looks, outlined
from leap_suite.plan.cell import DENSE
from leap_suite.plan.tokens import AS_IT_IS
from leap_suite.results.frame import Results
from leap_suite.tables.context import Context
from leap_suite.tables.tokens import token_rows

_BEST_LINE: dict[str, Any] = {"linewidth": 0.9, "linestyle": (0, (1, 1.5)), "zorder": 1}


def tokens(results: Results, context: Context) -> Figure:
    """Accuracy and perplexity against tokens seen: one line per method.

    Panels are by model, and by sparsity where there are several.
    A layer-wise method with its default calibration is an open marker; a dotted line is the best of
    these. Accuracy is the mean of the tasks in percent; bars are one standard error.
    """
    rows = token_rows(results, context)
    looks = method_looks(distinct(rows["method"]))
    places = _places(rows)
    figure, panels = two_measures([*places])
    for (perplexity, accuracy), at in zip(panels.T, places.values(), strict=True):
        _draw_panel(perplexity, at, looks, "ppl", "min")
        _draw_panel(accuracy, at, looks, "average", "max")
    first, second = panels[:, 0]
    first.set_yscale("log")
    label_log_axis(first.yaxis)
    first.set_xscale("log")
    label_log_axis(first.xaxis)
    first.xaxis.set_major_formatter(EngFormatter(sep=""))
    first.set_ylabel("Perplexity (log scale)\n± standard error")
    second.set_ylabel("Average accuracy (%)\n± standard error")
    figure.supxlabel("Tokens seen (log scale)")
    figure.align_ylabels(panels[:, 0])
    grey = Look("#555555", "o", "none")
    calibrated = {
        "layer-wise, as it is": _as_it_is(grey),
        "the best of these": {"color": grey.colour, **_BEST_LINE},
    }
    with_dense = (rows["method"] == DENSE).any()
    add_legend(figure, method_entries(looks, with_dense) | calibrated)
    return figure


def _places(rows: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Rows of a model and sparsity with the dense model's, by title; of one sparsity, by model."""
    dense = rows["method"] == DENSE
    sparsities = distinct(rows.loc[~dense, "sparsity"])
    return {
        model if len(sparsities) == 1 else f"{model} at {sparsity}": rows[
            (rows["model"] == model) & (dense | (rows["sparsity"] == sparsity))
        ]
        for model in distinct(rows["model"])
        for sparsity in sparsities
    }


def _draw_panel(
    axes: Axes, rows: pd.DataFrame, looks: Mapping[str, Look], measure: str, best: str
) -> None:
    """Draw a measure of a model; `best` is min or max."""
    for value in rows.loc[rows["method"] == DENSE, measure]:
        axes.axhline(value, zorder=1, **DENSE_LINE)
    as_it_is = rows["amount"] == AS_IT_IS
    for method, look in looks.items():
        for chosen, style in ((~as_it_is, outlined(look)), (as_it_is, _as_it_is(look))):
            line = rows[chosen & (rows["method"] == method)].sort_values("tokens", kind="stable")
            errors = line[f"{measure}_stderr"]
            axes.errorbar(line["tokens"], line[measure], errors, elinewidth=0.9, **style)
    value = rows.loc[as_it_is, measure].agg(best)
    method = rows.loc[as_it_is & (rows[measure] == value), "method"].iloc[0]
    axes.axhline(value, color=looks[method].colour, **_BEST_LINE)


def _as_it_is(look: Look) -> dict[str, Any]:
    """Open marker, larger than the line's own."""
    marks = line_style(look)
    size = 1.8 * marks["markersize"]
    colours = {"markerfacecolor": "none", "markeredgecolor": look.colour}
    return {**marks, **colours, "markersize": size, "linestyle": "none"}
