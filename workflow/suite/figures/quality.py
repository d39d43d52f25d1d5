"""Accuracy and perplexity by method and sparsity, drawn from `main.csv`."""

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from matplotlib.figure import Figure

from suite.figures.rows import (
    draw_methods,
    few_ticks,
    log_ticks,
    panel_inches,
    row_panels,
    sparsity_handles,
)
from suite.figures.style import (
    DENSE_LINE,
    add_legend,
    dense_handle,
    distinct,
    method_looks,
    read_table,
    save,
    style,
    width,
)
from suite.plan.cell import DENSE
from suite.plan.methods import is_control

_COLUMNS = ("model", "method", "sparsity", "seed", "ppl", "average", "average_stderr")


@dataclass(frozen=True)
class Point:
    """One cell of the grid, averaged over its seeds: accuracies in percent."""

    model: str
    method: str
    sparsity: float
    accuracy: float
    accuracy_stderr: float
    perplexity: float


def quality(main_csv: Path, outputs: list[Path], note: str) -> None:
    """Draw average accuracy and perplexity, a row a method, one column of panels a model.

    Accuracy is the mean of the six tasks in percent; its bars are the standard error over the
    tasks' items, which all methods share. Perplexity is on a logarithmic scale. A method's dots are
    its sparsities, the lowest on top. Several seeds of a cell are averaged. Controls are left to
    the table: beside a random mask's perplexity those of all methods are one. The format of each
    output follows its suffix: .svg, .pdf or .png.

    Raises ValueError if the table lacks a column or has no rows, or on another suffix.
    """
    points = read_points(main_csv)
    with style():
        save(_draw(points), outputs, note)


# Reading


def read_points(main_csv: Path) -> list[Point]:
    """The cells of the table but controls. Raises ValueError as `read_table` does."""
    rows = read_table(main_csv, _COLUMNS)

    def cell(row: Mapping[str, str]) -> tuple[str, str, str]:
        return row["model"], row["method"], row["sparsity"]

    # tables of earlier versions have no column for what a variant is of, nor has the dense model
    drawn = [row for row in rows if not is_control(row.get("implementation") or row["method"])]
    # main.csv keeps the seeds of a cell together
    return [_point(list(seeds)) for _, seeds in groupby(drawn, key=cell)]


def _point(seeds: Sequence[Mapping[str, str]]) -> Point:
    def mean(column: str) -> float:
        return statistics.fmean(float(row[column]) for row in seeds)

    return Point(
        model=seeds[0]["model"],
        method=seeds[0]["method"],
        sparsity=float(seeds[0]["sparsity"]),
        accuracy=mean("average"),
        # All seeds answer the same items, so more seeds do not make this error smaller.
        accuracy_stderr=mean("average_stderr"),
        perplexity=mean("ppl"),
    )


# Drawing


def _draw(points: Sequence[Point]) -> Figure:
    models = distinct([point.model for point in points])
    looks = method_looks(distinct([point.method for point in points]))
    sparsities = sorted({point.sparsity for point in points if point.method != DENSE})
    inches = panel_inches(len(looks), len(sparsities))
    shape = (width("quality", len(models)), inches * min(2, len(models)) + 0.6)
    figure = Figure(figsize=shape, layout="constrained")
    labels = ["Average\naccuracy (%)\n± standard error", "Perplexity\n(log scale)"]
    top, bottom = row_panels(figure, labels, models)
    for accuracy, perplexity, model in zip(top, bottom, models, strict=True):
        of_model = [point for point in points if point.model == model]
        for point in (point for point in of_model if point.method == DENSE):
            accuracy.axvline(point.accuracy, zorder=1, **DENSE_LINE)
            perplexity.axvline(point.perplexity, zorder=1, **DENSE_LINE)
        pruned = [point for point in of_model if point.method != DENSE]
        accuracies = [(p.method, p.sparsity, p.accuracy, p.accuracy_stderr) for p in pruned]
        draw_methods(accuracy, looks, sparsities, accuracies)
        perplexities = [(p.method, p.sparsity, p.perplexity, math.nan) for p in pruned]
        draw_methods(perplexity, looks, sparsities, perplexities)
    few_ticks(top[0])
    log_ticks(bottom[0])
    with_dense = any(point.method == DENSE for point in points)
    handles = [dense_handle()] if with_dense else []
    add_legend(figure, [*handles, *sparsity_handles([f"{s:g}" for s in sparsities])])
    return figure
