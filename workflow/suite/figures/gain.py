"""What LEAP gains over each baseline, cell by cell, drawn from `main.csv`."""

import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path

from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from suite.figures.style import (
    PAGE_INCHES,
    Look,
    add_legend,
    distinct,
    line_style,
    method_looks,
    read_table,
    save,
    style,
)
from suite.plan.cell import DENSE, LEAP
from suite.plan.methods import is_control, method_label

_COLUMNS = ("model", "method", "sparsity", "average")
_BAND = "#f3f3f3"

# (model, sparsity) -> method -> average accuracy
_Cells = Mapping[tuple[str, str], Mapping[str, float]]


def gain(main_csv: Path, outputs: list[Path], note: str) -> None:
    """Draw LEAP's average accuracy minus each baseline's, in points, one row a cell of the grid.

    Seeds are averaged, and controls are no baselines. Raises ValueError where the table has no cell
    with LEAP and a baseline.
    """
    cells = {
        place: methods
        for place, methods in _read(main_csv).items()
        if LEAP in methods and len(methods) > 1
    }
    if not cells:
        raise ValueError(f"{main_csv}: no cell has both LEAP and a baseline")
    with style():
        save(_draw(cells), outputs, note)


def _read(main_csv: Path) -> _Cells:
    seeds: dict[tuple[str, str], dict[str, list[float]]] = {}
    for row in read_table(main_csv, _COLUMNS):
        if row["method"] != DENSE and not is_control(row["method"]):
            of_cell = seeds.setdefault((row["model"], row["sparsity"]), {})
            of_cell.setdefault(row["method"], []).append(float(row["average"]))
    return {
        place: {method: statistics.fmean(values) for method, values in methods.items()}
        for place, methods in seeds.items()
    }


def _draw(cells: _Cells) -> Figure:
    methods = distinct([method for of_cell in cells.values() for method in of_cell])
    looks = {method: look for method, look in method_looks(methods).items() if method != LEAP}
    figure = Figure(figsize=(PAGE_INCHES, 1.1 + 0.24 * len(cells)), layout="constrained")
    axes = figure.subplots()
    for position in range(1, len(cells), 2):
        axes.axhspan(position - 0.5, position + 0.5, color=_BAND, linewidth=0, zorder=0)
    axes.axvline(0, color="black", linewidth=0.9)
    for method, look in looks.items():
        at = [i for i, of_cell in enumerate(cells.values()) if method in of_cell]
        gains = [of_cell[LEAP] - of_cell[method] for of_cell in cells.values() if method in of_cell]
        axes.plot(gains, at, **{**line_style(look), "linestyle": "none"})
    axes.set_yticks(range(len(cells)), [f"{model}, {sparsity}" for model, sparsity in cells])
    axes.set_ylim(len(cells) - 0.5, -0.5)
    axes.grid(visible=False, axis="y")
    axes.grid(axis="x")
    axes.tick_params(axis="y", length=0)
    axes.set_xlabel("Average accuracy of LEAP minus that of the baseline (points)")
    _add_legend(figure, looks)
    return figure


def _add_legend(figure: Figure, looks: Mapping[str, Look]) -> None:
    handles: Sequence[Line2D] = [
        Line2D([], [], label=method_label(name), **{**line_style(look), "linestyle": "none"})
        for name, look in looks.items()
    ]
    add_legend(figure, handles)
