"""Quality against the number of tokens that a method is shown."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import matplotlib as mpl
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import EngFormatter

from suite.figures.style import (
    DENSE_LINE,
    Look,
    add_legend,
    distinct,
    label_log_axis,
    line_style,
    method_handles,
    method_looks,
    outlined,
    save,
    style,
    two_measures,
)
from suite.plan.cell import DENSE
from suite.plan.tokens import AS_IT_IS
from suite.results.frame import Results
from suite.tables.tokens import token_rows
from suite.tables.told import Told

_BEST_LINE: dict[str, Any] = {"linewidth": 0.9, "linestyle": (0, (1, 1.5)), "zorder": 1}


def tokens(results: Results, told: Told, outputs: list[Path]) -> None:
    """Draw accuracy and perplexity against tokens seen, one column of panels a model.

    A method is a line; a layer-wise one as it is, is an open marker of the method's, and a dotted
    line shows the best of these. Accuracy is the mean of the tasks in percent; tokens and
    perplexity are on logarithmic scales; bars are one standard error. The format of each output
    follows its suffix: .svg, .pdf or .png.
    """
    with style():
        save(_draw(token_rows(results, told)), outputs, told.note)


def _draw(rows: pd.DataFrame) -> Figure:
    models = distinct(rows["model"])
    looks = method_looks(distinct(rows["method"]))
    figure, panels = two_measures("tokens", models)
    for (perplexity, accuracy), model in zip(panels.T, models, strict=True):
        of_model = rows[rows["model"] == model]
        _draw_panel(perplexity, of_model, looks, "ppl", "min")
        _draw_panel(accuracy, of_model, looks, "average", "max")
    first, second = panels[:, 0]
    first.set_yscale("log")
    label_log_axis(first.yaxis)
    first.set_xscale("log")
    label_log_axis(first.xaxis)
    first.xaxis.set_major_formatter(EngFormatter(sep=""))
    first.set_ylabel("Perplexity (log scale)\n± standard error")
    second.set_ylabel("Average accuracy (%)\n± standard error")
    figure.supxlabel("Tokens seen (log scale)", fontsize=mpl.rcParams["axes.labelsize"])
    figure.align_ylabels(panels[:, 0])
    add_legend(figure, _handles(looks, rows))
    return figure


def _draw_panel(
    axes: Axes, rows: pd.DataFrame, looks: Mapping[str, Look], measure: str, best: str
) -> None:
    """Draw one measure of a model; `best` is min or max."""
    for value in rows.loc[rows["method"] == DENSE, measure]:
        axes.axhline(value, zorder=1, **DENSE_LINE)
    as_it_is = rows["amount"] == AS_IT_IS
    for method, look in looks.items():
        of_method = rows["method"] == method
        _draw_points(axes, rows[of_method & ~as_it_is], measure, outlined(look))
        _draw_points(axes, rows[of_method & as_it_is], measure, _as_it_is(look))
    value = rows.loc[as_it_is, measure].agg(best)
    method = rows.loc[as_it_is & (rows[measure] == value), "method"].iloc[0]
    axes.axhline(value, color=looks[method].colour, **_BEST_LINE)


def _draw_points(axes: Axes, rows: pd.DataFrame, measure: str, keywords: Mapping[str, Any]) -> None:
    by_tokens = rows.sort_values("tokens", kind="stable")
    errors = by_tokens[f"{measure}_stderr"]
    axes.errorbar(by_tokens["tokens"], by_tokens[measure], errors, elinewidth=0.9, **keywords)


def _as_it_is(look: Look) -> dict[str, Any]:
    """An open marker, larger, so that one on the line is seen around the line's own."""
    marks = line_style(look)
    size = 1.8 * marks["markersize"]
    colours = {"markerfacecolor": "none", "markeredgecolor": look.colour}
    return {**marks, **colours, "markersize": size, "linestyle": "none"}


def _handles(looks: Mapping[str, Look], rows: pd.DataFrame) -> list[Artist]:
    handles = method_handles(looks, bool((rows["method"] == DENSE).any()))
    grey = Look("#555555", "o", "none")
    label = "layer-wise, as it is"
    handles.append(Line2D([], [], label=label, **_as_it_is(grey)))
    handles.append(Line2D([], [], color="#555555", label="the best of these", **_BEST_LINE))
    return handles
