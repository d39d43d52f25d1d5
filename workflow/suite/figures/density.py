"""Where the subject keeps weights: density by decoder block and kind of layer."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import matplotlib as mpl
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from suite.artifacts.files import read_json
from suite.figures.style import (
    DENSE_LINE,
    Look,
    add_legend,
    distinct,
    outlined,
    save,
    shades,
    style,
    title_panels,
    width,
)
from suite.tables.layer_density import kept_by_kind
from suite.tables.told import Told

_MARKERS = 6  # on a line, at most


@dataclass(frozen=True)
class _Chosen:
    """One learned mask: density in percent by kind of layer, block after block."""

    model: str
    sparsity: float
    density: Mapping[str, Sequence[float]]


def density(manifests: Sequence[Path], told: Told, outputs: list[Path]) -> None:
    """Draw density against decoder block, a line a kind of layer, a panel a model and sparsity.

    The dashed line is the density that methods with a budget for each layer have everywhere.
    """
    chosen = [_read(path) for path in manifests]
    with style():
        save(_draw(chosen), outputs, told.note)


def _read(path: Path) -> _Chosen:
    manifest = read_json(path)
    return _Chosen(manifest["model"], manifest["target_sparsity"], kept_by_kind(manifest))


def _draw(chosen: Sequence[_Chosen]) -> Figure:
    models = distinct([mask.model for mask in chosen])
    sparsities = sorted({mask.sparsity for mask in chosen})
    looks = shades(distinct([kind for mask in chosen for kind in mask.density]))
    size = (width("density", len(models)), 0.9 + 1.6 * len(sparsities))
    figure = Figure(figsize=size, layout="constrained")
    panels = figure.subplots(
        len(sparsities), len(models), sharex="col", sharey="row", squeeze=False
    )
    for mask in chosen:
        row, column = sparsities.index(mask.sparsity), models.index(mask.model)
        _draw_panel(panels[row, column], mask, looks)
    title_panels(panels[0], models)
    for axes, sparsity in zip(panels[:, 0], sparsities, strict=True):
        axes.set_ylabel(f"Weights kept (%)\nat sparsity {sparsity:g}")
    figure.supxlabel("Decoder block", fontsize=mpl.rcParams["axes.labelsize"])
    handles: list[Artist] = [Line2D([], [], label="uniform", **DENSE_LINE)]
    handles += [Line2D([], [], label=kind, **outlined(look)) for kind, look in looks.items()]
    add_legend(figure, handles)
    return figure


def _draw_panel(axes: Axes, mask: _Chosen, looks: Mapping[str, Look]) -> None:
    axes.axhline(100 * (1 - mask.sparsity), **DENSE_LINE)
    for rank, (kind, values) in enumerate(mask.density.items()):
        # Of many blocks not each has a marker, and each kind has them at others.
        every = math.ceil(len(values) / _MARKERS)
        marks = {**outlined(looks[kind]), "markevery": (rank % every, every)}
        axes.plot(range(len(values)), values, **marks)
    axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
