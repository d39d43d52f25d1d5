"""How far the methods agree on the weights to keep: Jaccard index of their masks."""

import math
from collections.abc import Mapping, Sequence
from itertools import combinations
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from suite.artifacts.files import read_json
from suite.artifacts.masks import jaccard
from suite.figures.style import PAGE_INCHES, distinct, save, style, width
from suite.plan.methods import method_label
from suite.tables.told import Told

_CELL_INCHES, _NAME_INCHES = 0.28, 0.95
_COLOURS = mpl.colormaps["Purples"]

# sparsity -> two methods, in the order of all -> mean over models
_Pairs = Mapping[str, Mapping[tuple[str, str], float]]


def agreement(
    manifests: Sequence[Path], masks: Sequence[Path], told: Told, outputs: list[Path]
) -> None:
    """Draw |A and B| / |A or B| of the masks of each two methods, a panel a sparsity.

    Both lists are of the same hardened checkpoints in the same order, one seed a method; models
    are averaged. Two masks drawn at random at density d have d / (2 - d). Each pair is there once,
    below the diagonal, as a number on a shade of it; the shades of all panels span the values that
    there are. Raises ValueError where no model has two methods at one sparsity.
    """
    pairs, methods = _read(manifests, masks)
    if not pairs:
        raise ValueError("no model has the masks of two methods at one sparsity")
    with style():
        save(_draw(pairs, methods), outputs, told.note)


def _read(manifests: Sequence[Path], masks: Sequence[Path]) -> tuple[_Pairs, list[str]]:
    cells: dict[tuple[str, str], dict[str, Path]] = {}
    for path, mask in zip(manifests, masks, strict=True):
        manifest = read_json(path)
        place = (str(manifest["target_sparsity"]), manifest["model"])
        cells.setdefault(place, {})[manifest["method"]] = mask
    methods = distinct([method for of_cell in cells.values() for method in of_cell])
    values: dict[str, dict[tuple[str, str], list[float]]] = {}
    for (sparsity, _), of_cell in cells.items():
        ordered = sorted(of_cell, key=methods.index)
        for one, other in combinations(ordered, 2):  # large masks are read from disk each time
            index = jaccard(of_cell[one], of_cell[other])
            values.setdefault(sparsity, {}).setdefault((one, other), []).append(index)
    pairs = {
        sparsity: {pair: float(np.mean(found)) for pair, found in of_sparsity.items()}
        for sparsity, of_sparsity in sorted(values.items())
    }
    return pairs, methods


def _draw(pairs: _Pairs, methods: Sequence[str]) -> Figure:
    side = _CELL_INCHES * (len(methods) - 1)
    columns = min(len(pairs), max(1, int((PAGE_INCHES - _NAME_INCHES) / (side + 0.1))))
    rows = math.ceil(len(pairs) / columns)
    inches = width("agreement", columns * (len(methods) - 1))
    figure = Figure(figsize=(inches, 0.3 + rows * (0.9 + side)), layout="constrained")
    title = "Jaccard index of the masks of two methods"
    figure.suptitle(title, fontsize=mpl.rcParams["axes.labelsize"])
    panels = figure.subplots(rows, columns, sharey=True, squeeze=False).flatten()
    every = [value for values in pairs.values() for value in values.values()]
    colours = Normalize(min(every), max(every))
    for axes, (sparsity, values) in zip(panels, pairs.items(), strict=False):
        _draw_triangle(axes, values, methods, colours)
        density = 1 - float(sparsity)
        axes.set_title(f"sparsity {sparsity}\n(by chance {density / (2 - density):.2f})")
    for axes in panels[len(pairs) :]:
        axes.set_axis_off()
    return figure


def _draw_triangle(
    axes: Axes,
    values: Mapping[tuple[str, str], float],
    methods: Sequence[str],
    colours: Normalize,
) -> None:
    """All methods but the first from above, all but the last from the left."""
    columns, rows = methods[:-1], methods[1:]
    matrix = np.array([[values.get((one, other), np.nan) for one in columns] for other in rows])
    axes.imshow(matrix, norm=colours, cmap=_COLOURS)
    for (row, column), value in np.ndenumerate(matrix):
        if not np.isnan(value):
            colour = "white" if colours(value) > 0.5 else "black"
            axes.text(column, row, f"{value:.2f}", ha="center", va="center", color=colour, size=7)
    axes.set_xticks(range(len(columns)), map(method_label, columns))
    axes.set_yticks(range(len(rows)), map(method_label, rows))
    for label in axes.get_xticklabels():
        label.set(rotation=45, ha="right", va="center", rotation_mode="anchor")
    axes.tick_params(length=0)
    axes.grid(visible=False)
    axes.spines[:].set_visible(False)
