"""What every figure shares: style, looks, axes, saving without traces."""

import math
import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullLocator
from matplotlib.transforms import Bbox

from suite.artifacts.files import replacing
from suite.plan.cell import DENSE
from suite.plan.methods import base_method, look_of, method_label
from suite.tables.numbers import perplexity

STYLE = Path(__file__).with_name("suite.mplstyle")


# Widths


# Of a page of two columns, as conferences have it, for which all sizes of type are made.
COLUMN_INCHES, PAGE_INCHES = 3.3, 6.8
# As many panels side by side as one column has room for; a figure with more takes both.
_IN_A_COLUMN = {"agreement": 8, "cost": 1, "density": 1, "gain": 1, "quality": 1}  # 8 cells


def width(figure: str, panels: int) -> float:
    """Inches of a figure, by its name, with so many panels side by side: a column or the page."""
    return COLUMN_INCHES if panels <= _IN_A_COLUMN.get(figure, 0) else PAGE_INCHES


def distinct(names: Iterable[str]) -> list[str]:
    """Each name once, in the order of first appearance."""
    return list(dict.fromkeys(names))


# Looks


@dataclass(frozen=True)
class Look:
    """How one method, or one model, is drawn."""

    colour: str
    marker: str
    dashes: Any
    filled: bool = True


# As the schemas of methods name them.
_DASHES = {
    "solid": "-",
    "dashed": (0, (4, 1.5)),
    "dotted": (0, (1, 1.2)),
    "dash-dot": (0, (4, 1.2, 1, 1.2)),
    "long": (0, (7, 1.5)),
    "dash-dot-dot": (0, (4, 1, 1, 1, 1, 1)),
}

# For methods whose schema has no look, handed out in the alphabetical order of their names. Schemas
# have the colours of Okabe and Ito and a few more; these are none of them.
_SPARE = (
    Look("#332288", "p", _DASHES["dash-dot"]),
    Look("#661100", "<", _DASHES["dash-dot-dot"]),
    Look("#117733", "+", _DASHES["dotted"]),
    Look("#999933", "1", _DASHES["dashed"]),
    Look("#AA4499", "2", _DASHES["long"]),
    Look("#BB5566", "3", _DASHES["dash-dot"]),
)
# For models and layers: shades of violet, which no method has, dark and light in turn.
_SHADES = (
    Look("#3B2E7E", "o", _DASHES["solid"]),
    Look("#C28BE3", "s", _DASHES["dashed"]),
    Look("#7F5BB1", "^", _DASHES["dash-dot"]),
    Look("#0E1964", "D", _DASHES["dotted"]),
    Look("#A073CA", "v", _DASHES["long"]),
    Look("#5F4599", "P", _DASHES["dash-dot-dot"]),
    Look("#D795F2", "X", _DASHES["solid"]),
)


def method_looks(methods: Sequence[str]) -> dict[str, Look]:
    """Look of each method but dense, in the order given; one under N:M has its method's, open.

    It is the one that the method's schema asks for, so that a method keeps it from one figure to
    the next, whichever others are there.
    """
    pruning = [method for method in methods if method != DENSE]
    described = {method: look_of(method) for method in pruning}
    unknown = sorted(method for method, look in described.items() if look is None)
    spare = {name: _SPARE[i % len(_SPARE)] for i, name in enumerate(unknown)}
    return {
        method: spare[method] if look is None else _look(look, method == base_method(method))
        for method, look in described.items()
    }


def _look(described: Mapping[str, Any], filled: bool) -> Look:
    return Look(
        described["colour"],
        described["marker"],
        _DASHES[described["dashes"]],
        filled and described.get("filled", True),
    )


def shades(names: Sequence[str]) -> dict[str, Look]:
    """Look of each model, or kind of layer, handed out in the order given."""
    return {name: _SHADES[i % len(_SHADES)] for i, name in enumerate(names)}


def line_style(look: Look) -> dict[str, Any]:
    """Keywords that give matplotlib's lines this look."""
    return {
        "color": look.colour,
        "marker": look.marker,
        "linestyle": look.dashes,
        # A star and a diamond of the same nominal size look smaller and larger than a circle.
        "markersize": mpl.rcParams["lines.markersize"] * {"*": 1.5, "D": 0.85}.get(look.marker, 1),
        "markerfacecolor": look.colour if look.filled else "white",
        # One that has no inside is all edge.
        "markeredgecolor": look.colour if look.marker in _STROKES else "black",
    }


def outlined(look: Look) -> dict[str, Any]:
    """The same with markers that have no inside, so that one is seen through another."""
    edge = {"markerfacecolor": "none", "markeredgecolor": look.colour, "markeredgewidth": 1.0}
    return {**line_style(look), **edge}


_STROKES = "x+123"
DENSE_LINE: dict[str, Any] = {"color": "black", "linewidth": 0.9, "linestyle": (0, (5, 3))}


def dense_handle() -> Artist:
    """What the legend shows of the dense model's level."""
    return Line2D([], [], label=method_label(DENSE), **DENSE_LINE)


def method_handles(looks: Mapping[str, Look], with_dense: bool) -> list[Artist]:
    """What the legend shows of outlined lines of methods, and of the dense model's level."""
    handles: list[Artist] = [dense_handle()] if with_dense else []
    for method, look in looks.items():
        handles.append(Line2D([], [], label=method_label(method), **outlined(look)))
    return handles


def add_legend(figure: Figure, handles: Sequence[Artist]) -> None:
    """A legend above all panels: as few rows as the figure's width allows, filled evenly."""
    for rows in range(1, len(handles) + 1):
        columns = math.ceil(len(handles) / rows)
        legend = figure.legend(handles=list(handles), loc="outside upper center", ncols=columns)
        if columns == 1 or legend.get_window_extent().width <= figure.bbox.width:
            return
        legend.remove()


# Axes


_SUBDIVISIONS = ((1,), (1, 3), (1, 2, 5), (1, 1.5, 2, 3, 4, 5, 7))


def label_log_axis(axis: Axis, most: int = 7) -> None:
    """Three to `most` plain numbers, also where data span far less or more than a decade."""
    low, high = axis.get_view_interval()
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for steps in _SUBDIVISIONS:
        ticks = [step * 10.0**decade for decade in decades for step in steps]
        ticks = [tick for tick in ticks if low <= tick <= high]
        if len(ticks) >= 3:
            break
    else:
        ticks = [t for t in MaxNLocator(5).tick_values(low, high) if low <= t <= high]
    axis.set_major_locator(FixedLocator(ticks[:: math.ceil(len(ticks) / most) or 1]))
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(FuncFormatter(lambda tick, _: _plain(tick)))


def _plain(tick: float) -> str:
    """As tables print a perplexity, but without the zeros that a round number has there."""
    return f"{tick:g}" if tick < 1e4 else perplexity(tick).replace(".0e", "e")


def two_measures(figure: str, models: Sequence[str]) -> tuple[Figure, Any]:
    """A figure and its panels [measure, model]: side by side for one model, else one upon another.

    Those of a measure have the same axes.
    """
    if len(models) == 1:
        drawn = Figure(figsize=(width(figure, 2), 3.0), layout="constrained")
        panels = drawn.subplots(1, 2, sharex=True, squeeze=False).T
        panels[1, 0].set_title(models[0])
    else:
        drawn = Figure(figsize=(width(figure, len(models)), 4.4), layout="constrained")
        panels = drawn.subplots(2, len(models), sharex=True, sharey="row")
    title_panels(panels[0], models)
    return drawn, panels


def title_panels(panels: Sequence[Axes], models: Sequence[str]) -> None:
    """Name the panels side by side after their models, in two lines where there are many."""
    for axes, model in zip(panels, models, strict=True):
        axes.set_title(model if len(models) < 4 else textwrap.fill(model, 18))


# Saving


@contextmanager
def style() -> Iterator[None]:
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


_NOTE_LINE = 0.16  # inches, a line of a note
_NOTE_LETTER = 0.062  # inches, a letter of it


def save(figure: Figure, outputs: Sequence[Path], note: str) -> None:
    """Save in each format, by suffix, without the date and versions that would change the bytes.

    `note` stands below the figure, in a strip of its own: what is above it is laid out as without.
    Raises ValueError on a suffix other than .svg, .pdf and .png.
    """
    area = _add_note(figure, note) if note else None
    for output in outputs:
        if output.suffix not in _NO_TRACES:
            raise ValueError(f"{output}: a figure is saved as {', '.join(_NO_TRACES)}")
        traces = _NO_TRACES[output.suffix]
        with replacing(output) as temporary:
            figure.savefig(temporary, format=output.suffix[1:], metadata=traces, bbox_inches=area)


def _add_note(figure: Figure, note: str) -> Bbox:
    """Write the note below the figure; returns the area in inches that has both."""
    width, height = figure.get_size_inches()
    text = textwrap.fill(note, int(width / _NOTE_LETTER))
    strip = _NOTE_LINE * (text.count("\n") + 1)
    figure.text(
        *(0.5, -strip / 2 / height),
        text,
        ha="center",
        va="center",
        style="italic",
        fontsize=mpl.rcParams["xtick.labelsize"],
    )
    return Bbox.from_extents(0, -strip, width, height)
