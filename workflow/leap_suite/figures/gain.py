"""Accuracy gain of the subject over each baseline, paired by item."""

import pandas as pd
from matplotlib.figure import Figure

from leap_suite.figures.dot_plot import Measure, dot_plot
from leap_suite.figures.panels import distinct
from leap_suite.plan.methods import method_label
from leap_suite.results.frame import PLACE, Results, is_pruned
from leap_suite.results.statistics import leads
from leap_suite.tables.context import Context


def gain(results: Results, context: Context) -> Figure:
    """Subject minus baseline in points of average accuracy, one panel per model.

    Bars are one standard error, over paired items and over seeds where there are several, which
    are averaged. Controls are no baselines.
    Raises ValueError where no cell has the subject and a baseline.
    """
    label = method_label(context.subject)
    cells = results.cells[is_pruned(results.cells) & ~results.cells["control"]]
    found = []
    for (model, sparsity), methods in cells.groupby(PLACE, sort=False)["method"]:
        scores = {name: results.scores_of(model, sparsity, name) for name in distinct(methods)}
        ours = scores.pop(context.subject, None)
        for name, theirs in scores.items() if ours is not None else ():
            (pair,) = leads([ours], [theirs])
            found.append((model, sparsity, name, name, pair.difference, pair.standard_error))
    if not found:
        raise ValueError(f"no cell has both {label} and a baseline")
    gains = pd.DataFrame(found, columns=[*PLACE, "method", "row", "difference", "error"])
    axis = f"Average accuracy of {label} minus\nthat of the baseline (points)\n"
    measure = Measure(f"{axis}± paired standard error", "difference", "error", line=0)
    rows = {method: method_label(method) for method in distinct(gains["method"])}
    return dot_plot(gains, rows, [measure], sorted(set(gains["sparsity"])), is_narrow=True)
