"""Ablations: perplexity and accuracy of a method's variants."""

import textwrap
from collections.abc import Mapping, Sequence

import matplotlib as mpl
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from leap_suite.figures.dot_plot import CAP, bands
from leap_suite.figures.panels import add_legend, distinct, few_ticks, label_log_axis, new_figure
from leap_suite.figures.style import Look, line_style, shades
from leap_suite.plan.methods import method_label
from leap_suite.results.frame import Results
from leap_suite.tables.ablations import BASE, ablation_rows, variant_label
from leap_suite.tables.context import Context

_LOG_FROM = 3.0  # ratio of the largest to the smallest perplexity
# In rows: the height for all models of a row, and from one model to the next.
_ROOM, _OFFSET = 0.72, 0.24


def ablations(results: Results, context: Context) -> Figure:
    """Perplexity and average accuracy of the base method and its variants, one row each.

    Dots are means over seeds, bars the sample standard deviation, vertical lines the base's means,
    all by model. Perplexities that span more than a factor of 3 are on a log scale. A variant whose
    sparsity is half a percentage point or more from the base's has it below its name.
    """
    rows = ablation_rows(results, context)
    variants, looks = distinct(rows["variant"]), shades(distinct(rows["model"]))
    height = 0.75 + len(variants) * (0.2 + 0.07 * len(looks)) + 0.2 * (len(looks) > 1)
    figure = new_figure(height)
    left, right = figure.subplots(1, 2, sharey=True)
    _draw_panel(left, rows, "ppl", variants, looks)
    _draw_panel(right, rows, "average", variants, looks)
    left.set_xlabel(f"Perplexity{_scale_perplexity(left, rows)} – lower is better")
    right.set_xlabel("Average accuracy (%) – higher is better")
    left.set_yticks(range(len(variants)), [_label(variant, rows) for variant in variants])
    left.set_ylim(len(variants) - 0.5, -0.5)
    explanation = _explanation(rows.iloc[0], len(looks))
    figure.supxlabel(explanation, fontsize=mpl.rcParams["xtick.labelsize"])
    if len(looks) > 1:
        add_legend(figure, {model: line_style(look) for model, look in looks.items()})
    return figure


def _draw_panel(
    axes: Axes,
    rows: pd.DataFrame,
    measure: str,
    variants: Sequence[str],
    looks: Mapping[str, Look],
) -> None:
    for rank, (model, look) in enumerate(looks.items()):
        of_model = rows[rows["model"] == model]
        base = of_model.loc[of_model["variant"] == BASE, measure].iloc[0]
        axes.axvline(base, color=look.colour, linestyle=look.dashes, linewidth=0.9, zorder=1)
        offset = min(_OFFSET, _ROOM / len(looks)) * (rank - (len(looks) - 1) / 2)
        axes.errorbar(
            of_model[measure],
            [variants.index(variant) + offset for variant in of_model["variant"]],
            xerr=of_model[f"{measure}_std"],
            elinewidth=0.9,
            capsize=CAP,
            **{**line_style(look), "linestyle": "none"},
        )
    bands(axes, len(variants))
    axes.axhline(0.5, color="black", linewidth=0.6)  # below the base
    few_ticks(axes.xaxis)


def _scale_perplexity(axes: Axes, rows: pd.DataFrame) -> str:
    """Set a log scale for perplexities that span a wide range; returns the label's note on it."""
    values, spreads = rows["ppl"], rows["ppl_std"].fillna(0)
    if values.max() <= _LOG_FROM * values.min():
        return ""
    axes.set_xscale("log")
    # Bars towards zero or below end at the panel's edge.
    low, high = max((values - spreads).min(), values.min() / 1.5), (values + spreads).max()
    margin = (high / low) ** 0.05
    axes.set_xlim(low / margin, high * margin)
    label_log_axis(axes.xaxis)
    return " (log scale)"


def _label(variant: str, rows: pd.DataFrame) -> str:
    """Name of a variant, with its sparsities where they differ from the base's."""
    percent = 100 * rows.set_index(["variant", "model"])["achieved_sparsity"]
    method = rows.loc[rows["variant"] == variant, "method"].iloc[0]
    label = textwrap.fill(variant_label(variant, method), 24)
    own = percent[variant]
    if (own - percent[BASE]).abs().max() < 0.5:
        return label
    ends = distinct([f"{own.min():.2f}", f"{own.max():.2f}"])
    return f"{label}\n({'–'.join(ends)} % sparse)"


def _explanation(base: pd.Series, models: int) -> str:
    line = f"vertical line{'s' * (models > 1)}: {method_label(base['method'])}"
    if base["seeds"] == 1:
        return f"One seed; {line}"
    return f"Mean ± standard deviation over {base['seeds']} seeds; {line}"
