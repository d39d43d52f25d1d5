"""Grids of panels, axes and legends."""

import math
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedFormatter, FixedLocator, MaxNLocator, NullLocator

from leap_suite.figures.style import DENSE_LINE, Look, outlined
from leap_suite.plan.cell import DENSE
from leap_suite.plan.methods import method_label
from leap_suite.tables.entries import perplexity

# A two-column page of a conference; type sizes are made for it.
COLUMN_INCHES, PAGE_INCHES = 3.3, 6.8


def new_figure(height: float, is_narrow: bool = False) -> Figure:
    """Empty figure of this height in inches, as wide as the page, or as a column if narrow."""
    width = COLUMN_INCHES if is_narrow else PAGE_INCHES
    return Figure(figsize=(width, height), layout="constrained")


def distinct(names: Iterable[str]) -> list[str]:
    """Unique names in order of first appearance."""
    return list(dict.fromkeys(names))


def method_entries(looks: Mapping[str, Look], with_dense: bool) -> dict[str, Any]:
    """Legend entries of the dense model's level and of methods drawn as outlined lines."""
    dense = {method_label(DENSE): DENSE_LINE} if with_dense else {}
    return dense | {method_label(method): outlined(look) for method, look in looks.items()}


def add_legend(figure: Figure, entries: Mapping[str, Mapping[str, Any]]) -> None:
    """Legend above all panels, in as few rows as the width allows, filled evenly.

    `entries` are the keywords of a line by label.
    """
    handles = [Line2D([], [], label=label, **style) for label, style in entries.items()]
    for rows in range(1, len(handles) + 1):
        columns = math.ceil(len(handles) / rows)
        legend = figure.legend(handles=handles, loc="outside upper center", ncols=columns)
        if columns == 1 or legend.get_window_extent().width <= figure.bbox.width:
            return
        legend.remove()


_SUBDIVISIONS = ((1,), (1, 3), (1, 2, 5), (1, 1.5, 2, 3, 4, 5, 7))


def label_log_axis(axis: Axis, most: int = 7) -> None:
    """Label a log axis with three to `most` plain numbers, whatever range the data span."""
    low, high = axis.get_view_interval()
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for steps in _SUBDIVISIONS:
        ticks = [step * 10.0**decade for decade in decades for step in steps]
        ticks = [tick for tick in ticks if low <= tick <= high]
        if len(ticks) >= 3:
            break
    else:
        ticks = [t for t in MaxNLocator(5).tick_values(low, high) if low <= t <= high]
    ticks = ticks[:: math.ceil(len(ticks) / most) or 1]
    axis.set_major_locator(FixedLocator(ticks))
    axis.set_minor_locator(NullLocator())
    # as a perplexity in tables, without trailing zeros
    plain = [f"{t:g}" if t < 1e4 else perplexity(t).replace(".0e", "e") for t in ticks]
    axis.set_major_formatter(FixedFormatter(plain))


def few_ticks(axis: Axis) -> None:
    """Three to six round numbers on a linear axis."""
    axis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10], min_n_ticks=3))


def two_measures(models: Sequence[str], is_shared: bool = True) -> tuple[Figure, Any]:
    """Figure with panels [measure, model], which share the axes of a measure unless told not to.

    The two measures are side by side for one model, else one above the other.
    """
    if len(models) == 1:
        figure = new_figure(3.0)
        panels = figure.subplots(1, 2, sharex=True, squeeze=False).T
        title_panels(panels[1], models)
    else:
        figure = new_figure(4.4)
        panels = figure.subplots(2, len(models), sharex=True, sharey="row" if is_shared else False)
    title_panels(panels[0], models)
    return figure, panels


def title_panels(panels: Sequence[Axes], models: Sequence[str], letters: int = 18) -> None:
    """Title panels side by side with their models, in lines of `letters` from four models on."""
    for axes, model in zip(panels, models, strict=True):
        axes.set_title(model if len(models) < 4 else textwrap.fill(model, letters))
