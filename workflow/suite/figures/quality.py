"""Accuracy and perplexity by method and sparsity."""

from pathlib import Path

import pandas as pd

from suite.figures.rows import ACCURACY, PERPLEXITY, draw_rows
from suite.figures.style import distinct, save, style
from suite.plan.methods import method_label
from suite.results.frame import Results, is_pruned
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
    found = points(results)
    found = found.assign(row=found["method"])
    pruned = found[is_pruned(found)]
    rows = {method: method_label(method) for method in distinct(pruned["method"])}
    sparsities = sorted(set(pruned["sparsity"]))
    with style():
        figure = draw_rows("quality", found, rows, [ACCURACY, PERPLEXITY], sparsities)
        save(figure, outputs, told.note)


def points(results: Results) -> pd.DataFrame:
    """The cells of methods that are no controls, averaged over seeds."""
    shown = results.cells[~results.cells["control"]]
    return means(shown, ["average", "average_stderr", "ppl"]).reset_index()
