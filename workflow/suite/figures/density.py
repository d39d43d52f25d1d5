"""Where the subject keeps weights: density by decoder block and kind of layer."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

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


def density(manifests: Sequence[Path], told: Told, outputs: list[Path]) -> None:
    """Draw density against decoder block, a line a kind of layer, a panel a model and sparsity.

    The dashed line is the density that methods with a budget for each layer have everywhere.
    """
    read = [read_json(path) for path in manifests]
    with style():
        save(_draw(read), outputs, told.note)


def _draw(manifests: Sequence[Mapping[str, Any]]) -> Figure:
    models = distinct(manifest["model"] for manifest in manifests)
    sparsities = sorted({manifest["target_sparsity"] for manifest in manifests})
    kept = [kept_by_kind(manifest) for manifest in manifests]
    looks = shades(distinct(kind for kinds in kept for kind in kinds))
    size = (width("density", len(models)), 0.9 + 1.6 * len(sparsities))
    figure = Figure(figsize=size, layout="constrained")
    panels = figure.subplots(
        len(sparsities), len(models), sharex="col", sharey="row", squeeze=False
    )
    for manifest, kinds in zip(manifests, kept, strict=True):
        sparsity, column = manifest["target_sparsity"], models.index(manifest["model"])
        axes = panels[sparsities.index(sparsity), column]
        axes.axhline(100 * (1 - sparsity), **DENSE_LINE)
        _draw_kinds(axes, kinds, looks)
    title_panels(panels[0], models)
    for axes, sparsity in zip(panels[:, 0], sparsities, strict=True):
        axes.set_ylabel(f"Weights kept (%)\nat sparsity {sparsity:g}")
    figure.supxlabel("Decoder block", fontsize=mpl.rcParams["axes.labelsize"])
    handles: list[Artist] = [Line2D([], [], label="uniform", **DENSE_LINE)]
    handles += [Line2D([], [], label=kind, **outlined(look)) for kind, look in looks.items()]
    add_legend(figure, handles)
    return figure


def _draw_kinds(
    axes: Axes, kinds: Mapping[str, Sequence[float]], looks: Mapping[str, Look]
) -> None:
    for rank, (kind, values) in enumerate(kinds.items()):
        # Of many blocks not each has a marker, and each kind has them at others.
        every = math.ceil(len(values) / _MARKERS)
        marks = {**outlined(looks[kind]), "markevery": (rank % every, every)}
        axes.plot(range(len(values)), values, **marks)
    axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
