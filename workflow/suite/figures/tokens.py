"""Quality against the number of tokens that a method is shown, drawn from `tokens.csv`."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import EngFormatter

from suite.figures.style import (
    DENSE_LINE,
    Look,
    add_legend,
    distinct,
    label_log_axis,
    line_style,
    method_handles,
    method_looks,
    outlined,
    read_table,
    save,
    style,
    two_measures,
)
from suite.plan.cell import DENSE
from suite.plan.tokens import AS_IT_IS

_COLUMNS = (
    *("model", "method", "amount", "tokens"),
    *("average", "average_stderr", "ppl", "ppl_stderr"),
)
_BEST_LINE: dict[str, Any] = {"linewidth": 0.9, "linestyle": (0, (1, 1.5)), "zorder": 1}

Row = Mapping[str, str]


def tokens(csv: Path, outputs: list[Path], note: str) -> None:
    """Draw accuracy and perplexity against tokens seen, one column of panels a model.

    A method is a line; a layer-wise one as it is, is an open marker of the method's, and a dotted
    line shows the best of these. Accuracy is the mean of the six tasks in percent; tokens and
    perplexity are on logarithmic scales; bars are one standard error. The format of each output
    follows its suffix: .svg, .pdf or .png.

    Raises ValueError if the table lacks a column or has no rows, or on another suffix.
    """
    rows = read_table(csv, _COLUMNS)
    with style():
        save(_draw(rows), outputs, note)


def _draw(rows: Sequence[Row]) -> Figure:
    models = distinct([row["model"] for row in rows])
    looks = method_looks(distinct([row["method"] for row in rows]))
    figure, panels = two_measures("tokens", models)
    for (perplexity, accuracy), model in zip(panels.T, models, strict=True):
        of_model = [row for row in rows if row["model"] == model]
        _draw_panel(perplexity, of_model, looks, "ppl", min)
        _draw_panel(accuracy, of_model, looks, "average", max)
    first, second = panels[:, 0]
    first.set_yscale("log")
    label_log_axis(first.yaxis)
    first.set_xscale("log")
    label_log_axis(first.xaxis)
    first.xaxis.set_major_formatter(EngFormatter(sep=""))
    first.set_ylabel("Perplexity (log scale)\n± standard error")
    second.set_ylabel("Average accuracy (%)\n± standard error")
    figure.supxlabel("Tokens seen (log scale)", fontsize=mpl.rcParams["axes.labelsize"])
    figure.align_ylabels(panels[:, 0])
    add_legend(figure, _handles(looks, rows))
    return figure


def _draw_panel(
    axes: Axes,
    rows: Sequence[Row],
    looks: Mapping[str, Look],
    measure: str,
    better: Callable[..., Row],
) -> None:
    for row in rows:
        if row["method"] == DENSE:
            axes.axhline(float(row[measure]), zorder=1, **DENSE_LINE)
    for method, look in looks.items():
        of_method = [row for row in rows if row["method"] == method]
        line = [row for row in of_method if row["amount"] != AS_IT_IS]
        _draw_points(axes, line, measure, outlined(look))
        alone = [row for row in of_method if row["amount"] == AS_IT_IS]
        _draw_points(axes, alone, measure, _as_it_is(look))
    one_shot = [row for row in rows if row["amount"] == AS_IT_IS]
    best = better(one_shot, key=lambda row: float(row[measure]))
    axes.axhline(float(best[measure]), color=looks[best["method"]].colour, **_BEST_LINE)


def _draw_points(
    axes: Axes, rows: Sequence[Row], measure: str, keywords: Mapping[str, Any]
) -> None:
    by_tokens = sorted(rows, key=lambda row: int(row["tokens"]))
    axes.errorbar(
        [int(row["tokens"]) for row in by_tokens],
        [float(row[measure]) for row in by_tokens],
        yerr=[float(row[f"{measure}_stderr"]) for row in by_tokens],
        elinewidth=0.9,
        **keywords,
    )


def _as_it_is(look: Look) -> dict[str, Any]:
    """An open marker, larger, so that one on the line is seen around the line's own."""
    marks = line_style(look)
    size = 1.8 * marks["markersize"]
    colours = {"markerfacecolor": "none", "markeredgecolor": look.colour}
    return {**marks, **colours, "markersize": size, "linestyle": "none"}


def _handles(looks: Mapping[str, Look], rows: Sequence[Row]) -> list[Artist]:
    handles = method_handles(looks, any(row["method"] == DENSE for row in rows))
    grey = Look("#555555", "o", "none")
    label = "layer-wise, as it is"
    handles.append(Line2D([], [], label=label, **_as_it_is(grey)))
    handles.append(Line2D([], [], color="#555555", label="the best of these", **_BEST_LINE))
    return handles
