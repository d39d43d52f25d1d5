"""What the pattern of sparsity costs: accuracy and perplexity by pattern."""

import math
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from suite.figures.rows import Dot, draw_rows, few_ticks, log_ticks, panel_inches, row_panels
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
from suite.plan.methods import base_method, method_label
from suite.results.frame import Results, is_pruned
from suite.tables.told import Told


def patterns(results: Results, told: Told, outputs: list[Path]) -> None:
    """Draw accuracy and perplexity of every pattern and method, one column of panels a model.

    Patterns are categories: each has rows of its own, which say how many weights are kept. Accuracy
    is the mean of the tasks in percent, its bars are one standard error; perplexity is on a
    logarithmic scale.
    """
    cells = results.cells.sort_values("sparsity", kind="stable")
    kept = 100 * (1 - cells["achieved_sparsity"])
    methods = cells["method"].map(base_method).map(method_label)
    names = [
        f"{method}: {pattern}, {share:.0f} % kept"
        for method, pattern, share in zip(methods, cells["pattern"], kept, strict=True)
    ]
    with style():
        save(_draw(cells.assign(name=names), results.models), outputs, told.note)


def _draw(cells: pd.DataFrame, models: Sequence[str]) -> Figure:
    names = _names(cells)
    height = panel_inches(len(names), 1) * min(2, len(models)) + 0.6
    figure = Figure(figsize=(width("patterns", len(models)), height), layout="constrained")
    labels = ["Average\naccuracy (%)\n± standard error", "Perplexity\n(log scale)"]
    top, bottom = row_panels(figure, labels, models)
    for accuracy, perplexity, model in zip(top, bottom, models, strict=True):
        of_model = cells[cells["model"] == model]
        _draw_panel(accuracy, of_model, names, "average")
        _draw_panel(perplexity, of_model, names, "ppl")
    few_ticks(top[0])
    log_ticks(bottom[0])
    add_legend(figure, [dense_handle()])
    return figure


def _names(cells: pd.DataFrame) -> list[str]:
    """Names of the rows of a panel, those of one pattern together, as they come in the table."""
    pruned = cells[is_pruned(cells)]
    order = distinct(pruned["pattern"])
    return distinct(
        pruned.sort_values("pattern", key=lambda p: p.map(order.index), kind="stable")["name"]
    )


def _draw_panel(axes: Axes, cells: pd.DataFrame, names: Sequence[str], measure: str) -> None:
    looks = method_looks(distinct(cells["method"]))
    for value in cells.loc[~is_pruned(cells), measure]:
        axes.axvline(value, zorder=1, **DENSE_LINE)
    pruned = cells[is_pruned(cells)]
    errors = pruned["average_stderr"] if measure == "average" else [math.nan] * len(pruned)
    dots = [
        Dot(names.index(name), 0, looks[method], value, error)
        for name, method, value, error in zip(
            pruned["name"], pruned["method"], pruned[measure], errors, strict=True
        )
    ]
    draw_rows(axes, names, dots, 1)
