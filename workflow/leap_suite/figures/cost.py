"""Seconds of pruning and average accuracy by method."""

from matplotlib.figure import Figure

from leap_suite.figures.dot_plot import ACCURACY, Measure, dot_plot
from leap_suite.plan.methods import method_label
from leap_suite.results.frame import Results, is_pruned
from leap_suite.results.statistics import means
from leap_suite.tables.context import Context

_SECONDS = Measure("Seconds inside\nthe job, without\nstart-up (log scale)", "seconds", is_log=True)


def cost(results: Results, context: Context) -> Figure:
    """Seconds and average accuracy of every method, cheapest first, one panel per model.

    Seconds are wall time measured inside the job, at the load that the machine had: without
    start-up of the process and of torch; with loading, except for trainings, of which only the
    training loop counts. A method with a rule of its own is measured by Snakemake, start-up
    included. Masks taken from another method are not counted. Bars are one standard error. Seeds
    are averaged; controls are in the table only.

    Raises ValueError where all cells are controls.
    """
    cells = results.cells[is_pruned(results.cells) & ~results.cells["control"]]
    if not len(cells):
        raise ValueError("no cell is of a method that is no control")
    wall = cells["wall_seconds"]
    cells = cells.assign(seconds=cells.get("training_seconds", wall).fillna(wall))
    priced = means(cells, ["seconds", "average", "average_stderr"]).reset_index()
    medians = priced.groupby("method", sort=False)["seconds"].median().sort_values(kind="stable")
    rows = {method: method_label(method) for method in medians.index}
    points, sparsities = priced.assign(row=priced["method"]), sorted(set(priced["sparsity"]))
    return dot_plot(points, rows, [_SECONDS, ACCURACY], sparsities, is_narrow=True)
