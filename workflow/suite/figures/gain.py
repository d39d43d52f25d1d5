"""What the subject gains over each baseline, item by item."""

from pathlib import Path

import pandas as pd

from suite.figures.rows import Measure, draw_rows
from suite.figures.style import distinct, save, style
from suite.plan.methods import method_label
from suite.results.frame import Results, is_pruned
from suite.results.statistics import compare
from suite.tables.told import Told


def gain(results: Results, told: Told, outputs: list[Path]) -> None:
    """Draw the subject's average accuracy minus each baseline's, in points, a panel a model.

    Bars are one standard error, paired by item. Seeds are averaged, and controls are no baselines.
    Raises ValueError where no cell has the subject and a baseline.
    """
    label = method_label(told.subject)
    gains = _gains(results, told.subject)
    if gains.empty:
        raise ValueError(f"no cell has both {label} and a baseline")
    axis = f"Average accuracy of {label} minus\nthat of the baseline (points)\n"
    measure = Measure(f"{axis}± paired standard error", "difference", "error", line=0)
    rows = {method: method_label(method) for method in distinct(gains["method"])}
    with style():
        figure = draw_rows("gain", gains, rows, [measure], sorted(set(gains["sparsity"])))
        save(figure, outputs, told.note)


def _gains(results: Results, subject: str) -> pd.DataFrame:
    cells = results.cells[is_pruned(results.cells) & ~results.cells["control"]]
    found = []
    for (model, sparsity), of_place in cells.groupby(["model", "sparsity"], sort=False):
        methods = distinct(of_place["method"])
        if subject in methods:
            scores = {name: results.scores_of(model, sparsity, name) for name in methods}
            ours = scores.pop(subject)
            for name, theirs in scores.items():
                gain = compare(ours, theirs)
                found.append((model, sparsity, name, name, gain.difference, gain.standard_error))
    names = ["model", "sparsity", "method", "row", "difference", "error"]
    return pd.DataFrame(found, columns=names)
