"""Panels with a method in each row: its name on the left, dots with error bars beside it.

Rows are categories, so dots that share one lie one below the other, and none hides another.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from suite.figures.style import (
    DENSE_LINE,
    Look,
    add_legend,
    dense_handle,
    distinct,
    label_log_axis,
    line_style,
    method_looks,
    title_panels,
    width,
)
from suite.plan.cell import DENSE

_FILLS = ("full", "bottom", "none", "top")  # of the dots in a row, the first on top
_ROW_INCHES, _DOT_INCHES = 0.08, 0.08  # a row is as high as one and as many of the other
CAP = 2.8  # points: an error that is smaller than its dot is seen above and below it
_MARGIN_INCHES, _LEGEND_INCHES = 0.6, 0.6  # above and below each panel, and above all of them
_BAND = "#f3f3f3"  # behind every other row, to lead the eye from a name to its dots


def few_ticks(axes: Axes) -> None:
    """As many numbers below a panel as find room there: at most four."""
    axes.xaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 5, 10]))


def log_ticks(axes: Axes) -> None:
    """The same on a logarithmic scale."""
    axes.set_xscale("log")
    label_log_axis(axes.xaxis, most=4)


@dataclass(frozen=True)
class Measure:
    """What panels show: a column of the points, that of its errors if it has them, and its axis.

    `line` is where a vertical line stands, NaN for none.
    """

    label: str
    column: str
    error: str = ""
    ticks: Callable[[Axes], None] = few_ticks
    line: float = math.nan


ACCURACY = Measure("Average\naccuracy (%)\n± standard error", "average", "average_stderr")
PERPLEXITY = Measure("Perplexity\n(log scale)", "ppl", ticks=log_ticks)


def draw_rows(
    name: str,
    points: pd.DataFrame,
    rows: Mapping[str, str],
    measures: Sequence[Measure],
    sparsities: Sequence[float] | None = None,
) -> Figure:
    """The figure of this name: panels by measure and model, all with the same rows.

    `points` have `model, method, sparsity`, the columns of the measures, and as `row` a key of
    `rows`, which has the labels from top to bottom. `sparsities` are those that share a row, None
    where each has its own. The dense model is a dashed line.
    """
    models, looks = distinct(points["model"]), method_looks(distinct(points["method"]))
    ranks = 1 if sparsities is None else len(sparsities)
    row_inches = _ROW_INCHES + _DOT_INCHES * ranks
    inches = _MARGIN_INCHES + max(1, len(rows)) * row_inches
    inches *= len(measures) if len(models) > 1 else 1
    size = (width(name, len(models)), inches + _LEGEND_INCHES)
    figure = Figure(figsize=size, layout="constrained")
    places = {row: place for place, row in enumerate(rows)}
    panels = _panels(figure, [measure.label for measure in measures], models)
    for measure, of_measure in zip(measures, panels, strict=True):
        for axes, model in zip(of_measure, models, strict=True):
            if not math.isnan(measure.line):
                axes.axvline(measure.line, color="black", linewidth=0.9)
            of_model = points[points["model"] == model]
            is_dense = of_model["method"] == DENSE
            for value in of_model.loc[is_dense, measure.column]:
                axes.axvline(value, zorder=1, **DENSE_LINE)
            for point in of_model[~is_dense].to_dict("records"):
                rank = sparsities.index(point["sparsity"]) if sparsities else 0
                error = point[measure.error] if measure.error else math.nan
                axes.errorbar(
                    [point[measure.column]],
                    [places[point["row"]] + _DOT_INCHES * (rank - (ranks - 1) / 2) / row_inches],
                    xerr=None if math.isnan(error) else [error],
                    elinewidth=0.9,
                    capsize=CAP,
                    **_dot_style(looks[point["method"]], rank),
                )
            bands(axes, len(rows))
            axes.set_yticks(range(len(rows)), list(rows.values()))
            axes.set_ylim(max(1, len(rows)) - 0.5, -0.5)
        measure.ticks(of_measure[0])
    grey = Look("#555555", "o", "none")
    handles = [dense_handle()] if (points["method"] == DENSE).any() else []
    handles += [
        Line2D([], [], label=f"sparsity {sparsity:g}", **_dot_style(grey, rank))
        for rank, sparsity in enumerate(sparsities or [])
    ]
    add_legend(figure, handles)
    return figure


def bands(axes: Axes, rows: int) -> None:
    """Bands behind every other row, and vertical grid lines."""
    for position in range(1, rows, 2):
        axes.axhspan(position - 0.5, position + 0.5, color=_BAND, linewidth=0, zorder=0)
    axes.grid(visible=False, axis="y")
    axes.grid(axis="x")
    axes.tick_params(axis="y", length=0)


def _panels(figure: Figure, labels: Sequence[str], models: Sequence[str]) -> list[list[Axes]]:
    """Panels by measure and model: a row of panels a measure, or, of one model, all in one row.

    `labels` are those of the measures, each of which has one scale.
    """
    if len(models) == 1:
        ((strip,),) = figure.subfigures(1, 1, squeeze=False)
        (panels,) = strip.subplots(1, len(labels), sharey=True, squeeze=False)
        for axes, label in zip(panels, labels, strict=True):
            axes.set_xlabel(label)
        strip.suptitle(models[0], fontsize=mpl.rcParams["axes.titlesize"])
        return [[axes] for axes in panels]
    rows = []
    strips = figure.subfigures(len(labels), 1, squeeze=False)[:, 0]
    for strip, label in zip(strips, labels, strict=True):
        rows.append(list(strip.subplots(1, len(models), sharex=True, sharey=True)))
        strip.supxlabel(label.replace("\n", " "), fontsize=mpl.rcParams["axes.labelsize"])
    title_panels(rows[0], models)
    return rows


def _dot_style(look: Look, rank: int) -> dict[str, Any]:
    """Keywords of matplotlib for a dot that is the one of this rank in its row."""
    return {
        **line_style(look),
        "linestyle": "none",
        "fillstyle": _FILLS[rank % len(_FILLS)],
        "markerfacecolor": look.colour,
        "markerfacecoloralt": "white",
    }
