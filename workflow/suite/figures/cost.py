"""The price of pruning and what it buys: seconds and accuracy."""

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
from suite.figures.style import add_legend, distinct, method_looks, save, style, width
from suite.results.frame import Results, is_pruned
from suite.results.statistics import means
from suite.tables.told import Told


def cost(results: Results, told: Told, outputs: list[Path]) -> None:
    """Draw seconds and average accuracy of every method, cheapest first, a panel a model.

    Seconds are wall time as the job measures it, on the machine and at the load it happened to run:
    start-up of the process and of torch is never in it, loading is, but for trainings, of which
    only the training itself is counted. Of a method with a rule of its own, Snakemake measures the
    whole job, start-up included. The masks that a method takes from another are not counted. Bars
    are one standard error. Several seeds of a cell are averaged, and controls are left to the
    table.

    Raises ValueError where all cells are controls.
    """
    cells = results.cells[is_pruned(results.cells) & ~results.cells["control"]]
    if not len(cells):
        raise ValueError("no cell is of a method that is no control")
    trained = cells.get("training_seconds", pd.Series(math.nan, cells.index))
    cells = cells.assign(seconds=trained.fillna(cells["wall_seconds"]))
    with style():
        priced = means(cells, ["seconds", "average", "average_stderr"]).reset_index()
        save(_draw(priced), outputs, told.note)


def _draw(priced: pd.DataFrame) -> Figure:
    models = distinct(priced["model"])
    looks = method_looks(_cheapest_first(priced))
    sparsities = sorted(set(priced["sparsity"]))
    inches = panel_inches(len(looks), len(sparsities)) * min(2, len(models)) + 0.6
    figure = Figure(figsize=(width("cost", len(models)), inches), layout="constrained")
    labels = ["Seconds inside\nthe job, without\nstart-up (log scale)"]
    labels += ["Average\naccuracy (%)\n± standard error"]
    top, bottom = row_panels(figure, labels, models)
    for seconds, accuracy, model in zip(top, bottom, models, strict=True):
        of_model = priced[priced["model"] == model].assign(exact=math.nan)
        for axes, names in (
            (seconds, ["seconds", "exact"]),
            (accuracy, ["average", "average_stderr"]),
        ):
            numbers = of_model[["method", "sparsity", *names]]
            draw_methods(axes, looks, sparsities, numbers.itertuples(index=False, name=None))
    log_ticks(top[0])
    few_ticks(bottom[0])
    add_legend(figure, sparsity_handles([f"{s:g}" for s in sparsities]))
    return figure


def _cheapest_first(priced: pd.DataFrame) -> list[str]:
    """Methods by the median over their cells."""
    medians = priced.groupby("method", sort=False)["seconds"].median()
    return [str(method) for method in medians.sort_values(kind="stable").index]
