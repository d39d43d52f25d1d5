"""How far the methods agree on the weights to keep: Jaccard index of their masks."""

import math
from collections.abc import Sequence
from itertools import combinations
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pandas as pd
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
    if pairs.empty:
        raise ValueError("no model has the masks of two methods at one sparsity")
    with style():
        save(_draw(pairs, methods), outputs, told.note)


def _read(manifests: Sequence[Path], masks: Sequence[Path]) -> tuple[pd.Series, list[str]]:
    """The means over models by sparsity and two methods, in the order of all; and all methods."""
    cells: dict[tuple[str, str], dict[str, Path]] = {}
    for path, mask in zip(manifests, masks, strict=True):
        manifest = read_json(path)
        place = (str(manifest["target_sparsity"]), manifest["model"])
        cells.setdefault(place, {})[manifest["method"]] = mask
    methods = distinct(method for of_cell in cells.values() for method in of_cell)
    found = [
        (sparsity, one, other, jaccard(of_cell[one], of_cell[other]))
        for (sparsity, _), of_cell in cells.items()
        for one, other in combinations(sorted(of_cell, key=methods.index), 2)
    ]
    pairs = pd.DataFrame(found, columns=["sparsity", "one", "other", "index"])
    return pairs.groupby(["sparsity", "one", "other"])["index"].mean(), methods


def _draw(pairs: pd.Series, methods: Sequence[str]) -> Figure:
    side = _CELL_INCHES * (len(methods) - 1)
    sparsities = distinct(pairs.index.get_level_values("sparsity"))
    columns = min(len(sparsities), max(1, int((PAGE_INCHES - _NAME_INCHES) / (side + 0.1))))
    rows = math.ceil(len(sparsities) / columns)
    inches = width("agreement", columns * (len(methods) - 1))
    figure = Figure(figsize=(inches, 0.3 + rows * (0.9 + side)), layout="constrained")
    title = "Jaccard index of the masks of two methods"
    figure.suptitle(title, fontsize=mpl.rcParams["axes.labelsize"])
    panels = figure.subplots(rows, columns, sharey=True, squeeze=False).flatten()
    colours = Normalize(pairs.min(), pairs.max())
    for axes, sparsity in zip(panels, sparsities, strict=False):
        _draw_triangle(axes, pairs[sparsity], methods, colours)
        density = 1 - float(sparsity)
        axes.set_title(f"sparsity {sparsity}\n(by chance {density / (2 - density):.2f})")
    for axes in panels[len(sparsities) :]:
        axes.set_axis_off()
    return figure


def _draw_triangle(
    axes: Axes, values: pd.Series, methods: Sequence[str], colours: Normalize
) -> None:
    """All methods but the first from above, all but the last from the left."""
    columns, rows = methods[:-1], methods[1:]
    matrix = values.unstack("one").reindex(index=rows, columns=columns).to_numpy()
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
