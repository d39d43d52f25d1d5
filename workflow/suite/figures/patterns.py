"""What the pattern of sparsity costs: accuracy and perplexity by pattern, from `patterns.csv`."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from suite.figures.rows import Dot, draw_rows, few_ticks, log_ticks, panel_inches, row_panels
from suite.figures.style import (
    DENSE_LINE,
    add_legend,
    dense_handle,
    distinct,
    method_looks,
    read_table,
    save,
    style,
    width,
)
from suite.plan.cell import DENSE
from suite.plan.methods import base_method, method_label

_COLUMNS = (
    *("model", "method", "pattern", "achieved_sparsity"),
    *("average", "average_stderr", "ppl"),
)

Row = Mapping[str, str]


def patterns(patterns_csv: Path, outputs: list[Path], note: str) -> None:
    """Draw accuracy and perplexity of every pattern and method, one column of panels a model.

    Patterns are categories: each has rows of its own, which say how many weights are kept. Accuracy
    is the mean of the six tasks in percent, its bars are one standard error; perplexity is on a
    logarithmic scale.
    """
    rows = read_table(patterns_csv, _COLUMNS)
    with style():
        save(_draw(rows), outputs, note)


def _draw(rows: Sequence[Row]) -> Figure:
    models = distinct([row["model"] for row in rows])
    names = _names(rows)
    height = panel_inches(len(names), 1) * min(2, len(models)) + 0.6
    figure = Figure(figsize=(width("patterns", len(models)), height), layout="constrained")
    labels = ["Average\naccuracy (%)\n± standard error", "Perplexity\n(log scale)"]
    top, bottom = row_panels(figure, labels, models)
    for accuracy, perplexity, model in zip(top, bottom, models, strict=True):
        of_model = [row for row in rows if row["model"] == model]
        _draw_panel(accuracy, of_model, names, "average")
        _draw_panel(perplexity, of_model, names, "ppl")
    few_ticks(top[0])
    log_ticks(bottom[0])
    add_legend(figure, [dense_handle()])
    return figure


def _names(rows: Sequence[Row]) -> list[str]:
    """Names of the rows of a panel, those of one pattern together, as they come in the table."""
    pruned = [row for row in rows if row["method"] != DENSE]
    order = distinct([row["pattern"] for row in pruned])
    return distinct(list(map(_name, sorted(pruned, key=lambda row: order.index(row["pattern"])))))


def _name(row: Row) -> str:
    kept = 100 * (1 - float(row["achieved_sparsity"]))
    return f"{method_label(base_method(row['method']))}: {row['pattern']}, {kept:.0f} % kept"


def _draw_panel(axes: Axes, rows: Sequence[Row], names: Sequence[str], measure: str) -> None:
    looks = method_looks(distinct([row["method"] for row in rows]))
    dots = []
    for row in rows:
        if row["method"] == DENSE:
            axes.axvline(float(row[measure]), zorder=1, **DENSE_LINE)
        else:
            error = float(row["average_stderr"]) if measure == "average" else math.nan
            look = looks[row["method"]]
            dots.append(Dot(names.index(_name(row)), 0, look, float(row[measure]), error))
    draw_rows(axes, names, dots, 1)
