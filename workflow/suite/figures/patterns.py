"""What the pattern of sparsity costs: accuracy and perplexity by density, from `patterns.csv`."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from suite.figures.style import (
    DENSE_LINE,
    PAGE_INCHES,
    Look,
    add_legend,
    distinct,
    label_log_axis,
    line_style,
    method_handles,
    method_looks,
    read_table,
    save,
    style,
)
from suite.plan.cell import DENSE

_COLUMNS = ("model", "method", "achieved_sparsity", "average", "average_stderr", "ppl")

Row = Mapping[str, str]


def patterns(patterns_csv: Path, outputs: list[Path], note: str) -> None:
    """Draw accuracy and perplexity against the density achieved, one column of panels a model.

    Accuracy is the mean of the six tasks in percent, its bars are one standard error; perplexity
    is on a logarithmic scale. Methods of one density are drawn side by side.
    """
    rows = read_table(patterns_csv, _COLUMNS)
    with style():
        save(_draw(rows), outputs, note)


def _draw(rows: Sequence[Row]) -> Figure:
    models = distinct([row["model"] for row in rows])
    looks = method_looks(distinct([row["method"] for row in rows]))
    width = min(PAGE_INCHES, 2.2 + 2.2 * len(models))
    figure = Figure(figsize=(width, 4.2), layout="constrained")
    panels = figure.subplots(2, len(models), sharex=True, squeeze=False)
    for (top, bottom), model in zip(panels.T, models, strict=True):
        of_model = [row for row in rows if row["model"] == model]
        _draw_panel(top, of_model, looks, "average")
        bottom.set_yscale("log")
        _draw_panel(bottom, of_model, looks, "ppl")
        label_log_axis(bottom.yaxis)
        top.set_title(model)
    panels[0, 0].set_ylabel("Average accuracy (%)\n± standard error")
    panels[1, 0].set_ylabel("Perplexity\n(log scale)")
    figure.supxlabel("Density: share of weights kept", fontsize=mpl.rcParams["axes.labelsize"])
    figure.align_ylabels(panels[:, 0])
    add_legend(figure, method_handles(looks, with_dense=True))
    return figure


def _draw_panel(axes: Axes, rows: Sequence[Row], looks: Mapping[str, Look], measure: str) -> None:
    for row in rows:
        if row["method"] == DENSE:
            axes.axhline(float(row[measure]), zorder=1, **DENSE_LINE)
    for method, look in looks.items():
        line = sorted((_density(row), row) for row in rows if row["method"] == method)
        shift = _shift(method, looks, rows)
        axes.errorbar(
            [density + shift for density, _ in line],
            [float(row[measure]) for _, row in line],
            yerr=[float(row["average_stderr"]) for _, row in line]
            if measure == "average"
            else None,
            elinewidth=0.7,
            **line_style(look),
        )


def _density(row: Row) -> float:
    return 1 - float(row["achieved_sparsity"])


def _shift(method: str, looks: Mapping[str, Look], rows: Sequence[Row]) -> float:
    """Sideways shift that keeps methods of one density apart; none for a method on its own."""
    own = {round(_density(row), 2) for row in rows if row["method"] == method}
    others = {round(_density(row), 2) for row in rows if row["method"] not in (method, DENSE)}
    rank = list(looks).index(method) - (len(looks) - 1) / 2
    return 0.005 * rank if own & others else 0.0
