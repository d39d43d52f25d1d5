"""Look of methods and models, and saving of figures without timestamps or versions."""

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure
from matplotlib.transforms import Bbox

from leap_suite.artifacts.files import replacing
from leap_suite.plan.cell import DENSE
from leap_suite.plan.methods import base_method, look_of
from leap_suite.tables.context import Context

STYLE = Path(__file__).with_name("suite.mplstyle")
# metadata that no file gets
_TRACES = {
    ".svg": ("Date", "Creator"),
    ".pdf": ("CreationDate", "Creator", "Producer"),
    ".png": ("Software",),
}
DENSE_LINE: dict[str, Any] = {"color": "black", "linewidth": 0.9, "linestyle": (0, (5, 3))}


def draw(name: str, inputs: Mapping[str, Any], context: Context, outputs: Sequence[Path]) -> None:
    """Draw the figure of this name and save it in the format of each output's suffix.

    `inputs` are the arguments of its function. Raises ValueError for a suffix other than .svg, .pdf
    and .png.
    """
    with style():
        function = getattr(import_module(f"leap_suite.figures.{name}"), name)
        _save(function(**inputs, context=context), outputs, context.note)


@dataclass(frozen=True)
class Look:
    """Colour, marker and dashes of a method or model."""

    colour: str
    marker: str
    dashes: Any
    filled: bool = True


# by their names in the schemas of methods
_DASHES = {
    "solid": "-",
    "dashed": (0, (4, 1.5)),
    "dotted": (0, (1, 1.2)),
    "dash-dot": (0, (4, 1.2, 1, 1.2)),
    "long": (0, (7, 1.5)),
    "dash-dot-dot": (0, (4, 1, 1, 1, 1, 1)),
}

# For methods whose schema has no look, in alphabetical order; no schema has these colours.
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
    """Look of each method but dense: its schema's, so that it is the same in all figures.

    A variant under N:M has its method's look with open markers.
    """
    described = {method: look_of(method) for method in methods if method != DENSE}
    unknown = sorted(method for method, look in described.items() if look is None)
    looks = {name: _SPARE[i % len(_SPARE)] for i, name in enumerate(unknown)}
    for method, look in described.items():
        if look is not None:
            filled = method == base_method(method) and look.get("filled", True)
            looks[method] = Look(look["colour"], look["marker"], _DASHES[look["dashes"]], filled)
    return {method: looks[method] for method in described}


def shades(names: Sequence[str]) -> dict[str, Look]:
    """Looks of models or kinds of layers, in this order."""
    return {name: _SHADES[i % len(_SHADES)] for i, name in enumerate(names)}


def line_style(look: Look) -> dict[str, Any]:
    """Keywords of matplotlib's lines for a look."""
    return {
        "color": look.colour,
        "marker": look.marker,
        "linestyle": look.dashes,
        # equal visual size
        "markersize": mpl.rcParams["lines.markersize"] * {"*": 1.5, "D": 0.85}.get(look.marker, 1),
        "markerfacecolor": look.colour if look.filled else "white",
        # markers without an inside
        "markeredgecolor": look.colour if look.marker in "x+123" else "black",
    }


def outlined(look: Look) -> dict[str, Any]:
    """Keywords of a line with transparent markers, so that none hides another."""
    edge = {"markerfacecolor": "none", "markeredgecolor": look.colour, "markeredgewidth": 1.0}
    return {**line_style(look), **edge}


@contextmanager
def style() -> Iterator[None]:
    """The suite's style over matplotlib's defaults, without the user's settings."""
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rc_file(STYLE)
        yield


_NOTE_LINE = 0.16  # inches, a line of a note
_NOTE_LETTER = 0.062  # inches, a letter of it


def _save(figure: Figure, outputs: Sequence[Path], note: str) -> None:
    """Save without dates and versions, and with the note in a strip below the figure."""
    area = _add_note(figure, note) if note else None
    for output in outputs:
        if output.suffix not in _TRACES:
            raise ValueError(f"{output}: a figure is saved as {', '.join(_TRACES)}")
        traces = dict.fromkeys(_TRACES[output.suffix])
        with replacing(output) as temporary:
            figure.savefig(temporary, format=output.suffix[1:], metadata=traces, bbox_inches=area)


def _add_note(figure: Figure, note: str) -> Bbox:
    """Write the note below the figure; returns the area of both in inches."""
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
