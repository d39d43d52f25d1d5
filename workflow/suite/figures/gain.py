"""What LEAP gains over each baseline, from evaluations and their items."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from matplotlib.figure import Figure

from suite.artifacts.items import Items, read_items
from suite.figures.rows import (
    draw_methods,
    few_ticks,
    panel_inches,
    row_panels,
    sparsity_handles,
)
from suite.figures.style import add_legend, distinct, method_looks, save, style, width
from suite.plan.cell import DENSE, LEAP
from suite.tables.evaluations import read_cells
from suite.tables.paired import Paired, compare

# (model, sparsity) -> method -> LEAP's accuracy minus the method's
_Gains = Mapping[tuple[str, str], Mapping[str, Paired]]


def gain(
    evaluations: Sequence[Path], answers: Sequence[Path], outputs: list[Path], note: str
) -> None:
    """Draw LEAP's average accuracy minus each baseline's, in points, a panel a model.

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
        if cell.method != DENSE and not result.control:
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
    models = distinct([model for model, _ in gains])
    sparsities = sorted({sparsity for _, sparsity in gains}, key=float)
    inches = panel_inches(len(looks), len(sparsities)) + 0.6
    figure = Figure(figsize=(width("gain", len(models)), inches), layout="constrained")
    label = "Average accuracy of LEAP minus\nthat of the baseline (points)\n± paired standard error"
    (panels,) = row_panels(figure, [label], models)
    for axes, model in zip(panels, models, strict=True):
        axes.axvline(0, color="black", linewidth=0.9)
        found = [
            (method, sparsity, gain.difference, gain.standard_error)
            for (name, sparsity), of_place in gains.items()
            for method, gain in of_place.items()
            if name == model
        ]
        draw_methods(axes, looks, sparsities, found)
    few_ticks(panels[0])
    add_legend(figure, sparsity_handles(sparsities))
    return figure
