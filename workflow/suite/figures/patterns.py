"""What the pattern of sparsity costs: accuracy and perplexity by pattern."""

from pathlib import Path

from suite.figures.rows import ACCURACY, PERPLEXITY, draw_rows
from suite.figures.style import distinct, save, style
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
    cells = cells.assign(row=names)
    pruned = cells[is_pruned(cells)]
    # those of one pattern together, as they come in the table
    order = distinct(pruned["pattern"])
    pruned = pruned.sort_values("pattern", key=lambda p: p.map(order.index), kind="stable")
    rows = {row: row for row in pruned["row"]}
    # models as they come in the results, dense first where there is one
    points = cells.sort_values("model", key=lambda m: m.map(results.models.index), kind="stable")
    with style():
        figure = draw_rows("patterns", points, rows, [ACCURACY, PERPLEXITY])
        save(figure, outputs, told.note)
