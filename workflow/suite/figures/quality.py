"""Accuracy and perplexity by method and sparsity, drawn from `main.csv`."""

import math
import statistics
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise
from pathlib import Path

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from suite.figures.style import (
    DENSE_LINE,
    PAGE_INCHES,
    Look,
    add_legend,
    distinct,
    label_log_axis,
    line_style,
    method_handles,
    method_looks,
    read_table,
    save,
    style,
)
from suite.plan.cell import DENSE
from suite.plan.methods import is_control

_COLUMNS = ("model", "method", "sparsity", "seed", "ppl", "average", "average_stderr")


@dataclass(frozen=True)
class _Point:
    """One cell of the grid, averaged over its seeds."""

    model: str
    method: str
    sparsity: float
    accuracy: float
    accuracy_stderr: float
    perplexity: float


def quality(main_csv: Path, outputs: list[Path], note: str) -> None:
    """Draw average accuracy and perplexity against sparsity, one column of panels a model.

    Accuracy is the mean of the six tasks in percent; its bars are the standard error over the
    tasks' items, which all methods share. Perplexity is on a logarithmic scale. Several seeds of
    a cell are averaged. Controls are left to the table: beside a random mask's perplexity those of
    all methods are one line. The format of each output follows its suffix: .svg, .pdf or .png.

    Raises ValueError if the table lacks a column or has no rows, or on another suffix.
    """
    points = _read(main_csv)
    with style():
        save(_draw(points), outputs, note)


# Reading


def _read(main_csv: Path) -> list[_Point]:
    rows = read_table(main_csv, _COLUMNS)

    def cell(row: Mapping[str, str]) -> tuple[str, str, str]:
        return row["model"], row["method"], row["sparsity"]

    drawn = [row for row in rows if not is_control(row["method"])]
    # main.csv keeps the seeds of a cell together
    return [_point(list(seeds)) for _, seeds in groupby(drawn, key=cell)]


def _point(seeds: Sequence[Mapping[str, str]]) -> _Point:
    def mean(column: str) -> float:
        return statistics.fmean(float(row[column]) for row in seeds)

    return _Point(
        model=seeds[0]["model"],
        method=seeds[0]["method"],
        sparsity=float(seeds[0]["sparsity"]),
        accuracy=mean("average"),
        # All seeds answer the same items, so more seeds do not make this error smaller.
        accuracy_stderr=mean("average_stderr"),
        perplexity=mean("ppl"),
    )


# Drawing


def _draw(points: Sequence[_Point]) -> Figure:
    models = distinct([point.model for point in points])
    looks = method_looks(distinct([point.method for point in points]))
    sparsities = sorted({point.sparsity for point in points if point.method != DENSE})
    width = min(PAGE_INCHES, 1.6 + 1.9 * len(models))
    figure = Figure(figsize=(width, 3.7), layout="constrained")
    panels = figure.subplots(2, len(models), sharex=True, squeeze=False)
    for column, model in enumerate(models):
        top, bottom = panels[:, column]
        of_model = [point for point in points if point.model == model]
        _draw_accuracy(top, of_model, looks)
        _draw_perplexity(bottom, of_model, looks)
        top.set_title(textwrap.fill(model, 18))
        _label_sparsities(bottom, sparsities, width / len(models))
    panels[0, 0].set_ylabel("Average\naccuracy (%)")
    panels[1, 0].set_ylabel("Perplexity\n(log scale)")
    figure.supxlabel("Sparsity", fontsize=mpl.rcParams["axes.labelsize"])
    figure.align_ylabels(panels[:, 0])
    with_dense = any(point.method == DENSE for point in points)
    add_legend(figure, method_handles(looks, with_dense))
    return figure


def _draw_accuracy(axes: Axes, points: Sequence[_Point], looks: Mapping[str, Look]) -> None:
    _draw_dense(axes, [point.accuracy for point in points if point.method == DENSE])
    for look, line in _lines(points, looks):
        axes.errorbar(
            [point.sparsity for point in line],
            [point.accuracy for point in line],
            yerr=[point.accuracy_stderr for point in line],
            elinewidth=0.7,
            **line_style(look),
        )
    axes.yaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10], min_n_ticks=3))


def _draw_perplexity(axes: Axes, points: Sequence[_Point], looks: Mapping[str, Look]) -> None:
    axes.set_yscale("log")
    _draw_dense(axes, [point.perplexity for point in points if point.method == DENSE])
    for look, line in _lines(points, looks):
        places = [point.sparsity for point in line]
        axes.plot(places, [point.perplexity for point in line], **line_style(look))
    label_log_axis(axes.yaxis)


def _lines(
    points: Sequence[_Point], looks: Mapping[str, Look]
) -> Iterator[tuple[Look, list[_Point]]]:
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
