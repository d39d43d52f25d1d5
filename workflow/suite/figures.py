"""Figures of the suite, drawn from `main.csv`.

Every figure is deterministic: the same table gives the same bytes. It stays readable in grey,
because a method has its own marker and dashes as well as its own colour.
"""

import csv
import math
import statistics
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import groupby, pairwise
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullLocator

from suite.files import replacing
from suite.grid import DENSE
from suite.tables import method_label

STYLE = Path(__file__).with_name("suite.mplstyle")

_COLUMNS = ("model", "method", "sparsity", "seed", "ppl", "average", "average_stderr")
_PAGE_INCHES = 7.0  # text width of a two-column page


@dataclass(frozen=True)
class _Look:
    """How one method is drawn."""

    colour: str
    marker: str
    dashes: Any
    filled: bool = True


_SOLID, _DASHED, _DOTTED = "-", (0, (4, 1.5)), (0, (1, 1.2))
_DASH_DOT, _LONG, _DASH_DOT_DOT = (0, (4, 1.2, 1, 1.2)), (0, (7, 1.5)), (0, (4, 1, 1, 1, 1, 1))

# Colours of Okabe and Ito, which colour-blind readers can tell apart. A method keeps its look
# from one figure to the next, whichever others are there.
_LOOKS = {
    "magnitude": _Look("#E69F00", "v", _DOTTED),
    "wanda": _Look("#56B4E9", "s", _DASHED),
    "sparsegpt": _Look("#009E73", "^", _DASH_DOT),
    "thanos": _Look("#CC79A7", "D", _DASH_DOT_DOT),
    "admm": _Look("#0072B2", "o", _LONG),
    "leap": _Look("#D55E00", "*", _SOLID),
}
# For methods not known above, handed out in the alphabetical order of their names.
_SPARE_LOOKS = (
    _Look("#000000", "P", _DASH_DOT, filled=False),
    _Look("#0072B2", "<", _DASH_DOT_DOT, filled=False),
    _Look("#D55E00", "X", _DASHED, filled=False),
    _Look("#009E73", "p", _DOTTED, filled=False),
    _Look("#CC79A7", ">", _LONG, filled=False),
    _Look("#E69F00", "h", _DASHED, filled=False),
)


@dataclass(frozen=True)
class _Point:
    """One cell of the grid, averaged over its seeds."""

    model: str
    method: str
    sparsity: float
    accuracy: float
    accuracy_stderr: float
    perplexity: float


def accuracy_and_perplexity(main_csv: Path, outputs: list[Path]) -> None:
    """Draw average accuracy and perplexity against sparsity, one column of panels a model.

    Accuracy is the mean of the six tasks in percent; its bars are the standard error over the
    tasks' items, which all methods share. Perplexity is on a logarithmic scale. Several seeds of
    a cell are averaged. The format of each output follows its suffix: .svg, .pdf or .png.

    Raises ValueError if the table lacks a column or has no rows, or on another suffix.
    """
    points = _read(main_csv)
    with _style():
        _save(_draw(points), outputs)


# Reading


def _read(main_csv: Path) -> list[_Point]:
    with main_csv.open(newline="", encoding="utf-8") as file:
        reader = csv.DictReader(file)
        missing = set(_COLUMNS) - set(reader.fieldnames or ())
        if missing:
            raise ValueError(f"{main_csv}: no column {', '.join(sorted(missing))}")
        rows = list(reader)
    if not rows:
        raise ValueError(f"{main_csv}: the table is empty")

    def cell(row: Mapping[str, str]) -> tuple[str, str, str]:
        return row["model"], row["method"], row["sparsity"]

    # main.csv keeps the seeds of a cell together
    return [_point(list(seeds)) for _, seeds in groupby(rows, key=cell)]


def _point(seeds: Sequence[Mapping[str, str]]) -> _Point:
    def mean(column: str) -> float:
        return statistics.fmean(float(row[column]) for row in seeds)

    return _Point(
        model=seeds[0]["model"],
        method=seeds[0]["method"],
        sparsity=float(seeds[0]["sparsity"]),
        accuracy=mean("average"),
        # All seeds answer the same items, so more seeds do not make this error smaller.
        accuracy_stderr=mean("average_stderr"),
        perplexity=mean("ppl"),
    )


# Drawing


def _draw(points: Sequence[_Point]) -> Figure:
    models = _distinct([point.model for point in points])
    looks = _looks(_distinct([point.method for point in points]))
    sparsities = sorted({point.sparsity for point in points if point.method != DENSE})
    width = min(_PAGE_INCHES, 1.6 + 1.9 * len(models))
    figure = Figure(figsize=(width, 3.7), layout="constrained")
    panels = figure.subplots(2, len(models), sharex=True, squeeze=False)
    for column, model in enumerate(models):
        top, bottom = panels[:, column]
        of_model = [point for point in points if point.model == model]
        _draw_accuracy(top, of_model, looks, sparsities)
        _draw_perplexity(bottom, of_model, looks, sparsities)
        top.set_title(textwrap.fill(model, 16))
        _label_sparsities(bottom, sparsities, width / len(models))
    panels[0, 0].set_ylabel("Average accuracy (%)\n± standard error")
    panels[1, 0].set_ylabel("Perplexity\n(log scale)")
    figure.supxlabel("Sparsity", fontsize=mpl.rcParams["axes.labelsize"])
    figure.align_ylabels(panels[:, 0])
    _add_legend(figure, looks, with_dense=any(point.method == DENSE for point in points))
    return figure


def _draw_accuracy(
    axes: Axes, points: Sequence[_Point], looks: Mapping[str, _Look], sparsities: Sequence[float]
) -> None:
    _draw_dense(axes, [point.accuracy for point in points if point.method == DENSE])
    for method, look in looks.items():
        line = sorted((p for p in points if p.method == method), key=lambda p: p.sparsity)
        shift = _shift(method, looks, sparsities)
        axes.errorbar(
            [point.sparsity + shift for point in line],
            [point.accuracy for point in line],
            yerr=[point.accuracy_stderr for point in line],
            elinewidth=0.7,
            **_line_style(look),
        )
    axes.yaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10], min_n_ticks=3))


def _draw_perplexity(
    axes: Axes, points: Sequence[_Point], looks: Mapping[str, _Look], sparsities: Sequence[float]
) -> None:
    axes.set_yscale("log")
    _draw_dense(axes, [point.perplexity for point in points if point.method == DENSE])
    for method, look in looks.items():
        line = sorted((p for p in points if p.method == method), key=lambda p: p.sparsity)
        shift = _shift(method, looks, sparsities)
        axes.plot(
            [point.sparsity + shift for point in line],
            [point.perplexity for point in line],
            **_line_style(look),
        )
    _label_log_axis(axes)


def _draw_dense(axes: Axes, values: Sequence[float]) -> None:
    for value in values:
        axes.axhline(value, color="black", linewidth=0.9, linestyle=(0, (5, 3)), zorder=1)


def _line_style(look: _Look) -> dict[str, Any]:
    return {
        "color": look.colour,
        "marker": look.marker,
        "linestyle": look.dashes,
        # A star and a diamond of the same nominal size look smaller and larger than a circle.
        "markersize": mpl.rcParams["lines.markersize"] * {"*": 1.7, "D": 0.85}.get(look.marker, 1),
        "markerfacecolor": look.colour if look.filled else "white",
        "markeredgecolor": "black",
    }


def _looks(methods: Sequence[str]) -> dict[str, _Look]:
    """Look of each method but dense, in the order given."""
    pruning = [method for method in methods if method != DENSE]
    unknown = sorted(set(pruning) - set(_LOOKS))
    spare = {name: _SPARE_LOOKS[i % len(_SPARE_LOOKS)] for i, name in enumerate(unknown)}
    return {method: _LOOKS.get(method) or spare[method] for method in pruning}


def _shift(method: str, looks: Mapping[str, _Look], sparsities: Sequence[float]) -> float:
    """Sideways shift of a method's points, so that equal results do not hide each other."""
    rank = list(looks).index(method) - (len(looks) - 1) / 2
    return 0.07 * rank * _spacing(sparsities)


def _spacing(sparsities: Sequence[float]) -> float:
    steps = [b - a for a, b in pairwise(sparsities)]
    return min(steps, default=0.1)


def _label_sparsities(axes: Axes, sparsities: Sequence[float], inches: float) -> None:
    if not sparsities:
        axes.set_xticks([])
        return
    margin = 0.4 * _spacing(sparsities)
    axes.set_xlim(sparsities[0] - margin, sparsities[-1] + margin)
    # A tick each, but only as many labels as fit side by side.
    every = math.ceil(len(sparsities) / max(1, int(inches / 0.35)))
    labels = [f"{s:g}" if i % every == 0 else "" for i, s in enumerate(sparsities)]
    axes.set_xticks(sparsities, labels)


_SUBDIVISIONS = ((1,), (1, 3), (1, 2, 5), (1, 1.5, 2, 3, 4, 5, 7))


def _label_log_axis(axes: Axes) -> None:
    """Three to seven plain numbers, also where the data span far less or more than a decade."""
    low, high = axes.get_ylim()
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for steps in _SUBDIVISIONS:
        ticks = [step * 10.0**decade for decade in decades for step in steps]
        ticks = [tick for tick in ticks if low <= tick <= high]
        if len(ticks) >= 3:
            break
    else:
        ticks = [t for t in MaxNLocator(5).tick_values(low, high) if low <= t <= high]
    axes.yaxis.set_major_locator(FixedLocator(ticks[:: math.ceil(len(ticks) / 7)]))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(FuncFormatter(lambda tick, _: _plain(tick)))


def _plain(tick: float) -> str:
    return f"{tick:g}" if tick < 1e4 else f"1e{math.log10(tick):.0f}"


def _add_legend(figure: Figure, looks: Mapping[str, _Look], with_dense: bool) -> None:
    handles: list[Artist] = []
    if with_dense:
        handles.append(Line2D([], [], color="black", lw=0.9, ls=(0, (5, 3)), label="Dense"))
    for method, look in looks.items():
        handles.append(Line2D([], [], label=method_label(method), **_line_style(look)))
    # As many columns as fit the width, filled evenly.
    fitting = max(1, int(figure.get_figwidth() / 1.05))
    lines = math.ceil(len(handles) / fitting)
    columns = math.ceil(len(handles) / lines)
    figure.legend(handles=handles, loc="outside upper center", ncols=columns)


def _distinct(names: Sequence[str]) -> list[str]:
    return list(dict.fromkeys(names))


# Saving


@contextmanager
def _style() -> Iterator[None]:
    """The suite's style over matplotlib's defaults, whatever the user's own settings are."""
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rc_file(STYLE)
        yield


_NO_TRACES: dict[str, dict[str, Any]] = {
    ".svg": {"Date": None, "Creator": None},
    ".pdf": {"CreationDate": None, "Creator": None, "Producer": None},
    ".png": {"Software": None},
}


def _save(figure: Figure, outputs: Sequence[Path]) -> None:
    """Save in each format, without the date and versions that would change the bytes."""
    for output in outputs:
        if output.suffix not in _NO_TRACES:
            raise ValueError(f"{output}: a figure is saved as {', '.join(_NO_TRACES)}")
        with replacing(output) as temporary:
            figure.savefig(temporary, format=output.suffix[1:], metadata=_NO_TRACES[output.suffix])
