"""Dot plots: one row per method, its name on the left, dots with error bars on the right.

Several dots of a row are drawn one below the other, so that none hides another.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from leap_suite.figures.panels import (
    add_legend,
    distinct,
    label_log_axis,
    method_entries,
    new_figure,
    title_panels,
)
from leap_suite.figures.style import DENSE_LINE, Look, line_style, method_looks
from leap_suite.plan.cell import DENSE

_FILLS = ("full", "bottom", "none", "top")  # of the dots in a row, the first on top
_ROW_INCHES, _DOT_INCHES = 0.08, 0.08  # height of a row: its margin, and each of its dots
CAP = 2.8  # points; longer than a dot, so that small errors are seen
_MARGIN_INCHES, _LEGEND_INCHES = 0.6, 0.6  # around each panel, above all
_BAND = "#f3f3f3"  # behind every other row


@dataclass(frozen=True)
class Measure:
    """A panel's axis: label, columns of values and errors, scale, position of a vertical line."""

    label: str
    column: str
    error: str = ""
    is_log: bool = False
    line: float = math.nan


ACCURACY = Measure("Average\naccuracy (%)\n± standard error", "average", "average_stderr")
PERPLEXITY = Measure("Perplexity\n(log scale)", "ppl", is_log=True)


def dot_plot(
    points: pd.DataFrame,
    rows: Mapping[str, str],
    measures: Sequence[Measure],
    sparsities: Sequence[float] = (),
    is_narrow: bool = False,
) -> Figure:
    """Panels by measure and model, all with the same rows; the dense model is a dashed line.

    `points` have `model, method, sparsity, row` and the columns of the measures. `rows` are the
    labels of rows from top to bottom. `sparsities` are those that share a row, () for one dot a
    row. One model `is_narrow` where a column has room for all measures.
    """
    models, looks = distinct(points["model"]), method_looks(distinct(points["method"]))
    dots, height = max(1, len(sparsities)), max(1, len(rows))
    row_inches = _ROW_INCHES + _DOT_INCHES * dots
    inches = _MARGIN_INCHES + height * row_inches
    inches *= len(measures) if len(models) > 1 else 1
    figure = new_figure(inches + _LEGEND_INCHES, is_narrow and len(models) == 1)
    order = list(rows)
    ranks = [sparsities.index(s) if s in sparsities else 0 for s in points["sparsity"]]
    offsets = [_DOT_INCHES / row_inches * (rank - (dots - 1) / 2) for rank in ranks]
    points = points.assign(rank=ranks, offset=offsets)
    panels = _panels(figure, [measure.label for measure in measures], models)
    for measure, of_measure in zip(measures, panels, strict=True):
        for axes, model in zip(of_measure, models, strict=True):
            _draw_panel(axes, points[points["model"] == model], measure, order, looks)
            bands(axes, len(rows))
            axes.set_yticks(range(len(rows)), list(rows.values()))
            axes.set_ylim(height - 0.5, -0.5)
        _set_scale(of_measure[0], measure.is_log)
    grey = Look("#555555", "o", "none")
    by_sparsity = {f"sparsity {s:g}": _dot_style(grey, rank) for rank, s in enumerate(sparsities)}
    add_legend(figure, method_entries({}, (points["method"] == DENSE).any()) | by_sparsity)
    return figure


def _draw_panel(
    axes: Axes,
    points: pd.DataFrame,
    measure: Measure,
    order: Sequence[str],
    looks: Mapping[str, Look],
) -> None:
    if not math.isnan(measure.line):
        axes.axvline(measure.line, color="black", linewidth=0.9)
    is_dense = points["method"] == DENSE
    for value in points.loc[is_dense, measure.column]:
        axes.axvline(value, zorder=1, **DENSE_LINE)
    for point in points[~is_dense].to_dict("records"):
        error = point[measure.error] if measure.error else math.nan
        axes.errorbar(
            [point[measure.column]],
            [order.index(point["row"]) + point["offset"]],
            xerr=None if math.isnan(error) else [error],
            elinewidth=0.9,
            capsize=CAP,
            **_dot_style(looks[point["method"]], point["rank"]),
        )


def _set_scale(axes: Axes, is_log: bool) -> None:
    """Scale of a measure, with at most four round numbers."""
    if is_log:
        axes.set_xscale("log")
        label_log_axis(axes.xaxis, most=4)
    else:
        axes.xaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 5, 10]))


def bands(axes: Axes, rows: int) -> None:
    """Draw bands behind every other row, and vertical grid lines."""
    for position in range(1, rows, 2):
        axes.axhspan(position - 0.5, position + 0.5, color=_BAND, linewidth=0, zorder=0)
    axes.grid(visible=False, axis="y")
    axes.grid(axis="x")
    axes.tick_params(axis="y", length=0)


def _panels(figure: Figure, labels: Sequence[str], models: Sequence[str]) -> list[list[Axes]]:
    """Panels [measure][model]: one row per measure, or one row in all for a single model.

    Panels of a measure share their scale; `labels` name the measures.
    """
    if len(models) == 1:
        ((strip,),) = figure.subfigures(1, 1, squeeze=False)
        (panels,) = strip.subplots(1, len(labels), sharey=True, squeeze=False)
        for axes, label in zip(panels, labels, strict=True):
            axes.set_xlabel(label)
        strip.suptitle(models[0])
        return [[axes] for axes in panels]
    rows = []
    strips = figure.subfigures(len(labels), 1, squeeze=False)[:, 0]
    for strip, label in zip(strips, labels, strict=True):
        rows.append(list(strip.subplots(1, len(models), sharex=True, sharey=True)))
        strip.supxlabel(label.replace("\n", " "))
    title_panels(rows[0], models)
    return rows


def _dot_style(look: Look, rank: int) -> dict[str, Any]:
    """Line keywords of a dot of this rank in its row."""
    return {
        **line_style(look),
        "linestyle": "none",
        "fillstyle": _FILLS[rank % len(_FILLS)],
        "markerfacecolor": look.colour,
        "markerfacecoloralt": "white",
    }
