"""What each part of a method contributes."""

import math
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from suite.figures.rows import BAND, CAP
from suite.figures.style import (
    Look,
    add_legend,
    distinct,
    label_log_axis,
    line_style,
    save,
    shades,
    style,
    width,
)
from suite.plan.methods import method_label
from suite.results.frame import Results
from suite.tables.ablations import BASE, ablation_rows, variant_label
from suite.tables.told import Told

_LOG_FROM = 3.0  # ratio of the largest to the smallest perplexity
# In rows: all that the models of a row may take, and between one model and the next.
_ROOM, _OFFSET = 0.72, 0.24


@dataclass(frozen=True)
class _Dot:
    """A mean over seeds and its standard deviation, NaN for a single seed."""

    value: float
    deviation: float

    @property
    def ends(self) -> tuple[float, float]:
        """Both ends of the error bar."""
        deviation = 0.0 if math.isnan(self.deviation) else self.deviation
        return self.value - deviation, self.value + deviation


@dataclass(frozen=True)
class _Row:
    """One variant on one model: a perplexity, an accuracy in percent, a sparsity in percent."""

    model: str
    method: str
    variant: str
    seeds: int
    sparsity: float
    perplexity: _Dot
    accuracy: _Dot


def ablations(results: Results, told: Told, outputs: list[Path]) -> None:
    """Draw perplexity and average accuracy of the base method and its variants, a row each.

    Dots are means over seeds, bars the sample standard deviation, vertical lines the means of the
    base, all by model. Perplexities that span more than a factor of 3 are on a logarithmic scale.
    A variant whose sparsity is half a percentage point or more from the base's has it below its
    name. The format of each output follows its suffix: .svg, .pdf or .png.
    """
    rows = [_row(record) for record in ablation_rows(results, told).itertuples()]
    with style():
        save(_draw(rows), outputs, told.note)


def _row(record: Any) -> _Row:
    return _Row(
        model=record.model,
        method=record.method,
        variant=record.variant,
        seeds=record.seeds,
        sparsity=100 * record.achieved_sparsity,
        perplexity=_Dot(record.ppl, record.ppl_std),
        accuracy=_Dot(record.average, record.average_std),
    )


def _draw(rows: Sequence[_Row]) -> Figure:
    variants = distinct([row.variant for row in rows])
    looks = shades(distinct([row.model for row in rows]))
    height = 0.75 + len(variants) * (0.2 + 0.07 * len(looks)) + 0.2 * (len(looks) > 1)
    figure = Figure(figsize=(width("ablations", 2), height), layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True)
    _draw_panel(left, [(row, row.perplexity) for row in rows], variants, looks)
    _draw_panel(right, [(row, row.accuracy) for row in rows], variants, looks)
    left.set_xlabel(f"Perplexity{_scale_perplexity(left, rows)} – lower is better")
    right.set_xlabel("Average accuracy (%) – higher is better")
    _label_variants(left, rows, variants)
    figure.supxlabel(_explanation(rows[0], len(looks)), fontsize=mpl.rcParams["xtick.labelsize"])
    if len(looks) > 1:
        _add_legend(figure, looks)
    return figure


def _draw_panel(
    axes: Axes,
    dots: Sequence[tuple[_Row, _Dot]],
    variants: Sequence[str],
    looks: Mapping[str, Look],
) -> None:
    for rank, (model, look) in enumerate(looks.items()):
        of_model = [(row, dot) for row, dot in dots if row.model == model]
        base = next(dot.value for row, dot in of_model if row.variant == BASE)
        axes.axvline(base, color=look.colour, linestyle=look.dashes, linewidth=0.9, zorder=1)
        offset = min(_OFFSET, _ROOM / len(looks)) * (rank - (len(looks) - 1) / 2)
        axes.errorbar(
            [dot.value for _, dot in of_model],
            [variants.index(row.variant) + offset for row, _ in of_model],
            xerr=[dot.deviation for _, dot in of_model],
            elinewidth=0.9,
            capsize=CAP,
            **{**line_style(look), "linestyle": "none"},
        )
    _draw_background(axes, len(variants))
    axes.xaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10], min_n_ticks=3))


def _draw_background(axes: Axes, rows: int) -> None:
    """Bands, vertical grid lines, and the line below the base."""
    for position in range(1, rows, 2):
        axes.axhspan(position - 0.5, position + 0.5, color=BAND, linewidth=0, zorder=0)
    axes.axhline(0.5, color="black", linewidth=0.6)
    axes.grid(visible=False, axis="y")
    axes.grid(axis="x")
    axes.tick_params(axis="y", length=0)


def _scale_perplexity(axes: Axes, rows: Sequence[_Row]) -> str:
    """Make the axis logarithmic if the perplexities ask for it; returns what its label says."""
    values = [row.perplexity.value for row in rows]
    if max(values) <= _LOG_FROM * min(values):
        return ""
    axes.set_xscale("log")
    ends = [end for row in rows for end in row.perplexity.ends]
    # A bar that reaches towards zero, or below it, ends at the panel's edge.
    low, high = max(min(ends), min(values) / 1.5), max(ends)
    margin = (high / low) ** 0.05
    axes.set_xlim(low / margin, high * margin)
    label_log_axis(axes.xaxis)
    return " (log scale)"


def _label_variants(axes: Axes, rows: Sequence[_Row], variants: Sequence[str]) -> None:
    """Names on the left, the first on top."""
    labels = [_label([row for row in rows if row.variant == name], rows) for name in variants]
    axes.set_yticks(range(len(variants)), labels)
    axes.set_ylim(len(variants) - 0.5, -0.5)


def _label(of_variant: Sequence[_Row], rows: Sequence[_Row]) -> str:
    label = textwrap.fill(variant_label(of_variant[0].variant, of_variant[0].method), 24)
    of_base = {row.model: row.sparsity for row in rows if row.variant == BASE}
    if all(abs(row.sparsity - of_base[row.model]) < 0.5 for row in of_variant):
        return label
    sparsities = sorted(row.sparsity for row in of_variant)
    ends = distinct([f"{sparsity:.2f}" for sparsity in (sparsities[0], sparsities[-1])])
    return f"{label}\n({'–'.join(ends)} % sparse)"


def _explanation(base: _Row, models: int) -> str:
    line = f"vertical line{'s' * (models > 1)}: {method_label(base.method)}"
    if base.seeds == 1:
        return f"One seed; {line}"
    return f"Mean ± standard deviation over {base.seeds} seeds; {line}"


def _add_legend(figure: Figure, looks: Mapping[str, Look]) -> None:
    handles: list[Artist] = [
        Line2D([], [], label=model, **line_style(look)) for model, look in looks.items()
    ]
    add_legend(figure, handles)
