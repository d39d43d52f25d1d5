"""What LEAP gains over each baseline, cell by cell, from evaluations and their items."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from suite.artifacts.items import Items, read_items
from suite.figures.style import (
    PAGE_INCHES,
    Look,
    add_legend,
    distinct,
    line_style,
    method_looks,
    save,
    style,
)
from suite.plan.cell import DENSE, LEAP
from suite.plan.methods import is_control, method_label
from suite.tables.evaluations import read_cells
from suite.tables.paired import Paired, compare

_ROOM = 0.85  # of a row, that its methods share
_METHOD_INCHES = 0.065  # from a method to the next, as much as a marker
_BAND = "#f3f3f3"

# (model, sparsity) -> method -> LEAP's accuracy minus the method's
_Gains = Mapping[tuple[str, str], Mapping[str, Paired]]


def gain(
    evaluations: Sequence[Path], answers: Sequence[Path], outputs: list[Path], note: str
) -> None:
    """Draw LEAP's average accuracy minus each baseline's, in points, one row a cell of the grid.

    Both lists are of the same cells in the same order. Bars are one standard error, paired by item.
    Seeds are averaged, and controls are no baselines. Raises ValueError where no cell has LEAP and
    a baseline.
    """
    gains = _gains(evaluations, answers)
    if not gains:
        raise ValueError("no cell has both LEAP and a baseline")
    with style():
        save(_draw(gains), outputs, note)


def _gains(evaluations: Sequence[Path], answers: Sequence[Path]) -> _Gains:
    files: dict[tuple[str, str], dict[str, list[Path]]] = {}
    for result, file in zip(read_cells(evaluations), answers, strict=True):
        cell = result.cell
        if cell.method != DENSE and not is_control(cell.method):
            of_place = files.setdefault((cell.model, cell.sparsity), {})
            of_place.setdefault(cell.method, []).append(file)
    return {
        place: _gains_of_place(of_place)
        for place, of_place in files.items()
        if LEAP in of_place and len(of_place) > 1
    }


def _gains_of_place(files: Mapping[str, Sequence[Path]]) -> dict[str, Paired]:
    of_leap = _read(files[LEAP])
    return {
        method: compare(of_leap, _read(seeds)) for method, seeds in files.items() if method != LEAP
    }


def _read(seeds: Sequence[Path]) -> list[Items]:
    return [read_items(file) for file in seeds]


def _draw(gains: _Gains) -> Figure:
    looks = method_looks(distinct([method for of_place in gains.values() for method in of_place]))
    row_inches = max(0.24, len(looks) * _METHOD_INCHES / _ROOM)
    size = (PAGE_INCHES, 1.1 + row_inches * len(gains))
    figure = Figure(figsize=size, layout="constrained")
    axes = figure.subplots()
    axes.axvline(0, color="black", linewidth=0.9)
    for rank, (method, look) in enumerate(looks.items()):
        offset = _ROOM / len(looks) * (rank - (len(looks) - 1) / 2)
        _draw_method(axes, [of_place.get(method) for of_place in gains.values()], offset, look)
    _label_rows(axes, [f"{model}, {sparsity}" for model, sparsity in gains])
    axes.set_xlabel(
        "Average accuracy of LEAP minus that of the baseline (points) ± paired standard error"
    )
    _add_legend(figure, looks)
    return figure


def _draw_method(axes: Axes, gains: Sequence[Paired | None], offset: float, look: Look) -> None:
    """A method's gains by row; rows that lack the method are None."""
    found = [(row, gain) for row, gain in enumerate(gains) if gain]
    axes.errorbar(
        [gain.difference for _, gain in found],
        [row + offset for row, _ in found],
        xerr=[gain.standard_error for _, gain in found],
        elinewidth=0.7,
        **{**line_style(look), "linestyle": "none"},
    )


def _label_rows(axes: Axes, labels: Sequence[str]) -> None:
    """The first row on top, and a band behind every other one."""
    for position in range(1, len(labels), 2):
        axes.axhspan(position - 0.5, position + 0.5, color=_BAND, linewidth=0, zorder=0)
    axes.set_yticks(range(len(labels)), labels)
    axes.set_ylim(len(labels) - 0.5, -0.5)
    axes.grid(visible=False, axis="y")
    axes.grid(axis="x")
    axes.tick_params(axis="y", length=0)


def _add_legend(figure: Figure, looks: Mapping[str, Look]) -> None:
    handles: Sequence[Line2D] = [
        Line2D([], [], label=method_label(name), **{**line_style(look), "linestyle": "none"})
        for name, look in looks.items()
    ]
    add_legend(figure, handles)
