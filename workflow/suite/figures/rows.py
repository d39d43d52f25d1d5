"""Panels with a method in each row: its name on the left, dots with error bars beside it.

Rows are categories, so dots that share one lie one below the other, and none hides another.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from suite.figures.style import Look, label_log_axis, line_style, title_panels
from suite.plan.methods import method_label

_FILLS = ("full", "bottom", "none", "top")  # of the dots in a row, the first on top
_ROW_INCHES, _DOT_INCHES = 0.08, 0.08  # a row is as high as one and as many of the other
CAP = 2.8  # points: an error that is smaller than its dot is seen above and below it
_MARGIN_INCHES = 0.6  # of a panel, for what stands above and below it
BAND = "#f3f3f3"  # behind every other row, to lead the eye from a name to its dots


@dataclass(frozen=True)
class Dot:
    """A number of one row; `rank` is its place among those of the row, and `error` a bar's half."""

    row: int
    rank: int
    look: Look
    value: float
    error: float = math.nan


def panel_inches(rows: int, ranks: int) -> float:
    """The height that a panel takes, with its labels."""
    return _MARGIN_INCHES + max(1, rows) * (_ROW_INCHES + _DOT_INCHES * ranks)


def row_panels(figure: Figure, labels: Sequence[str], models: Sequence[str]) -> list[list[Axes]]:
    """Panels by measure and model: a row of panels a measure, or, of one model, all in one row.

    `labels` are those of the measures, each of which has one scale; all panels have the same rows.
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


def draw_rows(axes: Axes, names: Sequence[str], dots: Sequence[Dot], ranks: int) -> None:
    """Draw dots in rows of these names, the first on top; `ranks` is the most that share one."""
    for dot in dots:
        offset = _DOT_INCHES * (dot.rank - (ranks - 1) / 2) / (_ROW_INCHES + _DOT_INCHES * ranks)
        axes.errorbar(
            [dot.value],
            [dot.row + offset],
            xerr=None if math.isnan(dot.error) else [dot.error],
            elinewidth=0.9,
            capsize=CAP,
            **dot_style(dot.look, dot.rank),
        )
    for position in range(1, len(names), 2):
        axes.axhspan(position - 0.5, position + 0.5, color=BAND, linewidth=0, zorder=0)
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(max(1, len(names)) - 0.5, -0.5)
    axes.grid(visible=False, axis="y")
    axes.grid(axis="x")
    axes.tick_params(axis="y", length=0)


def draw_methods(
    axes: Axes,
    looks: Mapping[str, Look],
    sparsities: Sequence[Any],
    numbers: Iterable[tuple[str, Any, float, float]],
) -> None:
    """Draw a row a method, in the order of `looks`, and in it a dot a sparsity.

    `numbers` are method, sparsity, value and standard error, NaN where there is none.
    """
    methods = list(looks)
    dots = [
        Dot(methods.index(method), sparsities.index(sparsity), looks[method], value, error)
        for method, sparsity, value, error in numbers
    ]
    draw_rows(axes, [method_label(method) for method in methods], dots, len(sparsities))


def dot_style(look: Look, rank: int) -> dict[str, Any]:
    """Keywords of matplotlib for a dot that is the one of this rank in its row."""
    return {
        **line_style(look),
        "linestyle": "none",
        "fillstyle": _FILLS[rank % len(_FILLS)],
        "markerfacecolor": look.colour,
        "markerfacecoloralt": "white",
    }


def sparsity_handles(sparsities: Sequence[str]) -> list[Artist]:
    """What the legend shows of rows with a dot for each sparsity."""
    grey = Look("#555555", "o", "none")
    return [
        Line2D([], [], label=f"sparsity {sparsity}", **dot_style(grey, rank))
        for rank, sparsity in enumerate(sparsities)
    ]


def few_ticks(axes: Axes) -> None:
    """As many numbers below a panel as find room there: at most four."""
    axes.xaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 5, 10]))


def log_ticks(axes: Axes) -> None:
    """The same on a logarithmic scale."""
    axes.set_xscale("log")
    label_log_axis(axes.xaxis, most=4)
