"""Quality against the price of pruning: accuracy by seconds, from evaluations and manifests."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from suite.artifacts.files import read_json
from suite.figures.style import (
    PAGE_INCHES,
    Look,
    add_legend,
    distinct,
    label_log_axis,
    line_style,
    method_looks,
    save,
    style,
)
from suite.plan.methods import method_label
from suite.tables.evaluations import read_cells


@dataclass(frozen=True)
class _Priced:
    """One cell: how long its pruning job took, and what came of it."""

    model: str
    method: str
    sparsity: str
    seconds: float
    accuracy: float


def cost(
    evaluations: Sequence[Path], manifests: Sequence[Path], outputs: list[Path], note: str
) -> None:
    """Draw average accuracy against the wall time of the pruning job, a panel a model.

    Both lists are of the same cells in the same order. The time is that of the whole job, loading
    included, on the machine and at the load it happened to run; LEAP's does not include the
    method that it starts from. Filled markers are the lowest sparsity, open ones the others.
    """
    results = read_cells(evaluations)
    priced = [
        _Priced(
            result.cell.model,
            result.cell.method,
            result.cell.sparsity,
            read_json(manifest)["pruning"]["cost"]["wall_time_seconds"],
            result.average,
        )
        for result, manifest in zip(results, manifests, strict=True)
    ]
    with style():
        save(_draw(priced), outputs, note)


def _draw(priced: Sequence[_Priced]) -> Figure:
    models = distinct([cell.model for cell in priced])
    looks = method_looks(distinct([cell.method for cell in priced]))
    lowest = min(float(cell.sparsity) for cell in priced)
    width = min(PAGE_INCHES, 1.6 + 1.9 * len(models))
    figure = Figure(figsize=(width, 2.6), layout="constrained")
    panels = figure.subplots(1, len(models), sharey=True, squeeze=False)[0]
    for axes, model in zip(panels, models, strict=True):
        for cell in (cell for cell in priced if cell.model == model):
            mark = line_style(looks[cell.method])
            if float(cell.sparsity) > lowest:
                mark["markerfacecolor"] = "white"
                mark["markeredgecolor"] = looks[cell.method].colour
            axes.plot([cell.seconds], [cell.accuracy], **{**mark, "linestyle": "none"})
        axes.set_xscale("log")
        axes.margins(x=0.15)
        label_log_axis(axes.xaxis)
        axes.set_title(model)
    panels[0].set_ylabel("Average accuracy (%)")
    figure.supxlabel("Wall time of the pruning job (s, log scale)", fontsize=8)
    _add_legend(figure, looks, sorted({cell.sparsity for cell in priced}))
    return figure


def _add_legend(figure: Figure, looks: Mapping[str, Look], sparsities: Sequence[str]) -> None:
    handles = [
        Line2D([], [], label=method_label(name), **{**line_style(look), "linestyle": "none"})
        for name, look in looks.items()
    ]
    for index, sparsity in enumerate(sparsities[:2]):
        label = f"sparsity {sparsity}" if index == 0 else f"{', '.join(sparsities[1:])}"
        face = "white" if index else "black"
        handles.append(Line2D([], [], ls="none", marker="o", mfc=face, mec="black", label=label))
    add_legend(figure, handles)
