"""Accuracy and perplexity by sparsity pattern."""

from matplotlib.figure import Figure

from leap_suite.figures.dot_plot import ACCURACY, PERPLEXITY, dot_plot
from leap_suite.figures.panels import distinct
from leap_suite.plan.methods import base_method, method_label
from leap_suite.results.frame import Results, is_pruned
from leap_suite.tables.context import Context


def patterns(results: Results, context: Context) -> Figure:
    """Accuracy and perplexity of every pattern and method, one column of panels per model.

    Each pattern, method and density has a row of its own. Accuracy is the mean of the tasks in
    percent with one standard error.
    """
    cells = results.cells.sort_values("sparsity", kind="stable")
    kept = 100 * (1 - cells["achieved_sparsity"])
    methods = cells["method"].map(base_method).map(method_label)
    names = [
        f"{method}: {pattern}, {share:.0f} % kept"
        for method, pattern, share in zip(methods, cells["pattern"], kept, strict=True)
    ]
    cells = cells.assign(row=names)
    pruned = cells[is_pruned(cells)]
    # methods of a pattern together, in the table's order
    order = distinct(pruned["pattern"])
    pruned = pruned.sort_values("pattern", key=lambda p: p.map(order.index), kind="stable")
    rows = {row: row for row in pruned["row"]}
    points = cells.sort_values("model", key=lambda m: m.map(results.models.index), kind="stable")
    return dot_plot(points, rows, [ACCURACY, PERPLEXITY])
