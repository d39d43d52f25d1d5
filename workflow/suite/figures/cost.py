"""The price of pruning and what it buys: seconds and accuracy."""

from pathlib import Path

from suite.figures.rows import ACCURACY, Measure, draw_rows, log_ticks
from suite.figures.style import save, style
from suite.plan.methods import method_label
from suite.results.frame import Results, is_pruned
from suite.results.statistics import means
from suite.tables.told import Told

_SECONDS = Measure(
    "Seconds inside\nthe job, without\nstart-up (log scale)", "seconds", ticks=log_ticks
)


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
    wall = cells["wall_seconds"]
    cells = cells.assign(seconds=cells.get("training_seconds", wall).fillna(wall))
    priced = means(cells, ["seconds", "average", "average_stderr"]).reset_index()
    medians = priced.groupby("method", sort=False)["seconds"].median().sort_values(kind="stable")
    rows = {method: method_label(method) for method in medians.index}
    points, sparsities = priced.assign(row=priced["method"]), sorted(set(priced["sparsity"]))
    with style():
        save(draw_rows("cost", points, rows, [_SECONDS, ACCURACY], sparsities), outputs, told.note)
