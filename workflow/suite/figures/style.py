"""What every figure shares: style, looks, axes, reading the table, saving without traces."""

import csv
import math
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.artist import Artist
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
PAGE_INCHES = 7.0  # text width of a two-column page


# Tables


def read_table(path: Path, columns: Sequence[str]) -> list[dict[str, str]]:
    """Rows of a CSV table. Raises ValueError if it lacks one of `columns` or has no rows."""
    with path.open(newline="", encoding="utf-8") as file:
        reader = csv.DictReader(file)
        missing = set(columns) - set(reader.fieldnames or ())
        if missing:
            raise ValueError(f"{path}: no column {', '.join(sorted(missing))}")
        rows = list(reader)
    if not rows:
        raise ValueError(f"{path}: the table is empty")
    return rows


def distinct(names: Sequence[str]) -> list[str]:
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


_SOLID, _DASHED, _DOTTED = "-", (0, (4, 1.5)), (0, (1, 1.2))
_DASH_DOT, _LONG, _DASH_DOT_DOT = (0, (4, 1.2, 1, 1.2)), (0, (7, 1.5)), (0, (4, 1, 1, 1, 1, 1))
# As the schemas of methods name them.
_DASHES = {
    "solid": _SOLID,
    "dashed": _DASHED,
    "dotted": _DOTTED,
    "dash-dot": _DASH_DOT,
    "long": _LONG,
    "dash-dot-dot": _DASH_DOT_DOT,
}

# Colours of Okabe and Ito, which colour-blind readers can tell apart, as in the schemas of methods.
# For methods whose schema has no look, handed out in the alphabetical order of their names.
_SPARE = (
    Look("#000000", "P", _DASH_DOT, filled=False),
    Look("#0072B2", "<", _DASH_DOT_DOT, filled=False),
    Look("#D55E00", "X", _DASHED, filled=False),
    Look("#009E73", "p", _DOTTED, filled=False),
    Look("#CC79A7", ">", _LONG, filled=False),
    Look("#E69F00", "h", _DASHED, filled=False),
)
# Dark and light in turn, so that neighbours differ in grey too.
_MODELS = (
    Look("#0072B2", "o", _DASHED),
    Look("#E69F00", "s", _DOTTED),
    Look("#009E73", "^", _DASH_DOT),
    Look("#CC79A7", "D", _LONG),
    Look("#D55E00", "v", _DASH_DOT_DOT),
    Look("#56B4E9", "P", _SOLID),
    Look("#000000", "X", _LONG, filled=False),
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


def model_looks(models: Sequence[str]) -> dict[str, Look]:
    """Look of each model, handed out in the order given."""
    return {model: _MODELS[i % len(_MODELS)] for i, model in enumerate(models)}


def line_style(look: Look) -> dict[str, Any]:
    """Keywords that give matplotlib's lines this look."""
    return {
        "color": look.colour,
        "marker": look.marker,
        "linestyle": look.dashes,
        # A star and a diamond of the same nominal size look smaller and larger than a circle.
        "markersize": mpl.rcParams["lines.markersize"] * {"*": 1.7, "D": 0.85}.get(look.marker, 1),
        "markerfacecolor": look.colour if look.filled else "white",
        "markeredgecolor": "black",
    }


DENSE_LINE: dict[str, Any] = {"color": "black", "linewidth": 0.9, "linestyle": (0, (5, 3))}


def method_handles(looks: Mapping[str, Look], with_dense: bool) -> list[Artist]:
    """What the legend shows of lines of methods, and of the dense model's level."""
    handles: list[Artist] = []
    if with_dense:
        handles.append(Line2D([], [], label=method_label(DENSE), **DENSE_LINE))
    for method, look in looks.items():
        handles.append(Line2D([], [], label=method_label(method), **line_style(look)))
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


def label_log_axis(axis: Axis) -> None:
    """Three to seven plain numbers, also where the data span far less or more than a decade."""
    low, high = axis.get_view_interval()
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for steps in _SUBDIVISIONS:
        ticks = [step * 10.0**decade for decade in decades for step in steps]
        ticks = [tick for tick in ticks if low <= tick <= high]
        if len(ticks) >= 3:
            break
    else:
        ticks = [t for t in MaxNLocator(5).tick_values(low, high) if low <= t <= high]
    axis.set_major_locator(FixedLocator(ticks[:: math.ceil(len(ticks) / 7)]))
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(FuncFormatter(lambda tick, _: _plain(tick)))


def _plain(tick: float) -> str:
    """As tables print a perplexity, but without the zeros that a round number has there."""
    return f"{tick:g}" if tick < 1e4 else perplexity(tick).replace(".0e", "e")


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
