"""Accuracy against speed and against bytes of the weights."""

from collections.abc import Sequence
from pathlib import Path

from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter

from leap_suite.figures.frontier import draw_frontier
from leap_suite.figures.panels import (
    add_legend,
    distinct,
    few_ticks,
    method_entries,
    new_figure,
    title_panels,
)
from leap_suite.figures.style import method_looks
from leap_suite.plan.cell import DENSE
from leap_suite.results.frame import Results
from leap_suite.results.speeds import OWN_WAYS, batches
from leap_suite.tables.context import Context
from leap_suite.tables.speed import speed_rows


def speed(results: Results, speeds: Sequence[Path], context: Context) -> Figure:
    """Accuracy of packed checkpoints against tokens a second of one text, above, and bytes, below.

    One panel per model and one line per method over sparsities. The square is the dense model in
    bfloat16, and the dashed line its accuracy. Bars are one standard error.
    """
    rows = speed_rows(results, speeds)
    rows = rows[rows["way"].isin([*OWN_WAYS, "bfloat16"])]
    models = distinct(rows["model"])
    looks = method_looks(distinct(rows.loc[rows["method"] != DENSE, "method"]))
    figure = new_figure(4.6, is_narrow=len(models) == 1)
    panels = figure.subplots(2, len(models), sharey="col", squeeze=False)
    fastest = f"speed_{min(batches(rows))}"
    for column, model in enumerate(models):
        of_model = rows[rows["model"] == model]
        dense, pruned = (
            of_model[(of_model["method"] == DENSE) == is_it] for is_it in (True, False)
        )
        for axes, measure in zip(panels[:, column], (fastest, "weight_bytes"), strict=True):
            draw_frontier(axes, pruned, dense, (measure, "average"), looks, context.subject)
            axes.set_xlim(left=0)
            axes.plot(dense[measure], dense["average"], "s", color="black", zorder=3)
            few_ticks(axes.yaxis)
        panels[0, column].set_xlabel("Tokens a second, one text")
        panels[1, column].set_xlabel("Bytes of the weights")
        panels[1, column].xaxis.set_major_formatter(EngFormatter("B"))
    for axes in panels[:, 0]:
        axes.set_ylabel("Average accuracy (%)\n± standard error")
    title_panels(panels[0], models)
    add_legend(figure, method_entries(looks, True))
    return figure
