"""Accuracy and perplexity against tokens seen, over all models, by sparsity."""

from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter

from suite.figures.frontier import draw_frontier, label_measures
from suite.figures.panels import add_legend, distinct, method_entries, two_measures
from suite.figures.style import method_looks
from suite.plan.cell import DENSE
from suite.results.frame import Results
from suite.tables.budget import budget_rows
from suite.tables.context import Context

_INCHES = 6.0  # high enough for lines that are a point apart
_HEADROOM = 1.1  # over the subject's highest perplexity; far above it lines leave the panel


def budget(results: Results, context: Context) -> Figure:
    """Accuracy above perplexity against tokens: one line per method, panels by sparsity.

    Shows the numbers of table `budget`; bars are standard errors over items. The subject's line is
    thick, and the dense model is a dashed line. Perplexities end a little above the subject's
    highest, so that a training that failed does not hide the differences of the others.
    """
    rows = budget_rows(results, context)
    is_dense = rows["method"] == DENSE
    dense, rows = rows[is_dense], rows[~is_dense]
    looks = method_looks(distinct(rows["method"]))
    sparsities = distinct(rows["sparsity"])
    figure, panels = two_measures([f"sparsity {sparsity}" for sparsity in sparsities])
    if len(sparsities) > 1:
        figure.set_figheight(_INCHES)
    for of_sparsity, sparsity in zip(panels.T, sparsities, strict=True):
        at = rows[rows["sparsity"] == sparsity]
        for axes, measure in zip(of_sparsity, ("average", "ppl"), strict=True):
            draw_frontier(axes, at, dense, ("tokens", measure), looks, context.subject)
    panels[1, 0].set_yscale("log")
    subject = rows.loc[rows["method"] == context.subject, "ppl"]
    top = _HEADROOM * subject.max()
    is_cut = bool(rows["ppl"].max() > top)
    if is_cut:
        panels[1, 0].set_ylim(top=top)
    label_measures(*panels[:, 0])
    if is_cut:
        panels[1, 0].set_ylabel("Perplexity\n(log scale, higher ones cut)")
    panels[0, 0].xaxis.set_major_formatter(EngFormatter(sep=""))
    figure.supxlabel("Tokens seen (log scale)")
    figure.align_ylabels(panels[:, 0])
    add_legend(figure, method_entries(looks, len(dense) > 0))
    return figure
