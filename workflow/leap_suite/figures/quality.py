"""Accuracy and perplexity by method and sparsity."""

import pandas as pd
from matplotlib.figure import Figure

from leap_suite.figures.dot_plot import ACCURACY, PERPLEXITY, dot_plot
from leap_suite.figures.panels import distinct
from leap_suite.plan.methods import method_label
from leap_suite.results.frame import Results, is_pruned
from leap_suite.results.statistics import means
from leap_suite.tables.context import Context


def quality(results: Results, context: Context) -> Figure:
    """Average accuracy and perplexity, one row per method and one column of panels per model.

    Accuracy is the mean of the tasks in percent, its bars the standard error over items, which all
    methods share. A row has the method's sparsities, the lowest on top. Seeds are averaged.
    Controls are in the table only: a random mask's perplexity would flatten all others.
    """
    found = points(results)
    found = found.assign(row=found["method"])
    pruned = found[is_pruned(found)]
    rows = {method: method_label(method) for method in distinct(pruned["method"])}
    sparsities = sorted(set(pruned["sparsity"]))
    return dot_plot(found, rows, [ACCURACY, PERPLEXITY], sparsities, is_narrow=True)


def points(results: Results) -> pd.DataFrame:
    """Cells of methods that are no controls, averaged over seeds."""
    cells = results.cells[~results.cells["control"]]
    return means(cells, ["average", "average_stderr", "ppl"]).reset_index()
