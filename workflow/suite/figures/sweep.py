"""Accuracy and perplexity against many sparsities, a line a method, drawn from `sweep.csv`."""

import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from suite.figures.quality import Point, read_points
from suite.figures.style import (
    DENSE_LINE,
    PAGE_INCHES,
    Look,
    add_legend,
    distinct,
    label_log_axis,
    method_handles,
    method_looks,
    outlined,
    save,
    style,
    two_measures,
)
from suite.plan.cell import DENSE


def sweep(main_csv: Path, outputs: list[Path], note: str) -> None:
    """Draw average accuracy and perplexity against sparsity, one column of panels a model.

    Numbers are those of `suite.figures.quality.quality`, and so are the errors raised. Markers are
    open, so that one is seen through another.
    """
    points = read_points(main_csv)
    with style():
        save(_draw(points), outputs, note)


def _draw(points: Sequence[Point]) -> Figure:
    models = distinct([point.model for point in points])
    looks = method_looks(distinct([point.method for point in points]))
    sparsities = sorted({point.sparsity for point in points if point.method != DENSE})
    figure, panels = two_measures("sweep", models)
    for (accuracy, perplexity), model in zip(panels.T, models, strict=True):
        of_model = [point for point in points if point.model == model]
        _draw_accuracy(accuracy, of_model, looks)
        _draw_perplexity(perplexity, of_model, looks)
    label_log_axis(panels[1, 0].yaxis)
    _label_sparsities(panels[0, 0], sparsities, PAGE_INCHES / max(2, len(models)))
    panels[0, 0].set_ylabel("Average accuracy (%)\n± standard error")
    panels[1, 0].set_ylabel("Perplexity\n(log scale)")
    figure.supxlabel("Sparsity", fontsize=mpl.rcParams["axes.labelsize"])
    figure.align_ylabels(panels[:, 0])
    with_dense = any(point.method == DENSE for point in points)
    add_legend(figure, method_handles(looks, with_dense))
    return figure


def _draw_accuracy(axes: Axes, points: Sequence[Point], looks: Mapping[str, Look]) -> None:
    _draw_dense(axes, [point.accuracy for point in points if point.method == DENSE])
    for look, line in _lines(points, looks):
        axes.errorbar(
            [point.sparsity for point in line],
            [point.accuracy for point in line],
            yerr=[point.accuracy_stderr for point in line],
            elinewidth=0.9,
            **outlined(look),
        )
    axes.yaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10], min_n_ticks=3))


def _draw_perplexity(axes: Axes, points: Sequence[Point], looks: Mapping[str, Look]) -> None:
    axes.set_yscale("log")
    _draw_dense(axes, [point.perplexity for point in points if point.method == DENSE])
    for look, line in _lines(points, looks):
        places = [point.sparsity for point in line]
        axes.plot(places, [point.perplexity for point in line], **outlined(look))


def _lines(
    points: Sequence[Point], looks: Mapping[str, Look]
) -> Iterator[tuple[Look, list[Point]]]:
    """Each method's look, and its points by sparsity."""
    for method, look in looks.items():
        of_method = (point for point in points if point.method == method)
        yield look, sorted(of_method, key=lambda point: point.sparsity)


def _draw_dense(axes: Axes, values: Sequence[float]) -> None:
    for value in values:
        axes.axhline(value, zorder=1, **DENSE_LINE)


def _spacing(sparsities: Sequence[float]) -> float:
    steps = [b - a for a, b in pairwise(sparsities)]
    return min(steps, default=0.1)


def _label_sparsities(axes: Axes, sparsities: Sequence[float], inches: float) -> None:
    if not sparsities:
        axes.set_xticks([])
        return
    margin = 0.4 * _spacing(sparsities)
    axes.set_xlim(sparsities[0] - margin, sparsities[-1] + margin)
    # A tick each, but only as many labels as fit side by side.
    every = math.ceil(len(sparsities) / max(1, int(inches / 0.35)))
    labels = [f"{s:g}" if i % every == 0 else "" for i, s in enumerate(sparsities)]
    axes.set_xticks(sparsities, labels)
