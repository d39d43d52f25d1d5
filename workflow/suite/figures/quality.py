"""Accuracy and perplexity by method and sparsity."""

import math
from pathlib import Path

import pandas as pd
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
    save,
    style,
    width,
)
from suite.plan.cell import DENSE
from suite.results.frame import Results
from suite.results.statistics import means
from suite.tables.told import Told


def quality(results: Results, told: Told, outputs: list[Path]) -> None:
    """Draw average accuracy and perplexity, a row a method, one column of panels a model.

    Accuracy is the mean of the tasks in percent; its bars are the standard error over the tasks'
    items, which all methods share. Perplexity is on a logarithmic scale. A method's dots are its
    sparsities, the lowest on top. Several seeds of a cell are averaged. Controls are left to the
    table: beside a random mask's perplexity those of all methods are one. The format of each output
    follows its suffix: .svg, .pdf or .png.
    """
    with style():
        save(_draw(points(results)), outputs, told.note)


def points(results: Results) -> pd.DataFrame:
    """The cells of methods that are no controls, averaged over seeds."""
    shown = results.cells[~results.cells["control"]]
    return means(shown, ["average", "average_stderr", "ppl"]).reset_index()


def _draw(points: pd.DataFrame) -> Figure:
    models = distinct(points["model"])
    looks = method_looks(distinct(points["method"]))
    sparsities = sorted(set(points.loc[points["method"] != DENSE, "sparsity"]))
    inches = panel_inches(len(looks), len(sparsities))
    shape = (width("quality", len(models)), inches * min(2, len(models)) + 0.6)
    figure = Figure(figsize=shape, layout="constrained")
    labels = ["Average\naccuracy (%)\n± standard error", "Perplexity\n(log scale)"]
    top, bottom = row_panels(figure, labels, models)
    for accuracy, perplexity, model in zip(top, bottom, models, strict=True):
        of_model = points[points["model"] == model]
        dense, pruned = (of_model[(of_model["method"] == DENSE) == is_dense] for is_dense in (1, 0))
        for point in dense.itertuples():
            accuracy.axvline(point.average, zorder=1, **DENSE_LINE)
            perplexity.axvline(point.ppl, zorder=1, **DENSE_LINE)
        names = ["method", "sparsity", "average", "average_stderr"]
        draw_methods(accuracy, looks, sparsities, pruned[names].itertuples(index=False, name=None))
        perplexities = pruned[["method", "sparsity", "ppl"]].assign(error=math.nan)
        draw_methods(perplexity, looks, sparsities, perplexities.itertuples(index=False, name=None))
    few_ticks(top[0])
    log_ticks(bottom[0])
    handles = [dense_handle()] if (points["method"] == DENSE).any() else []
    add_legend(figure, [*handles, *sparsity_handles([f"{s:g}" for s in sparsities])])
    return figure
