"""Agreement of masks: Jaccard index of the weights that two methods keep."""

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

from leap_suite.artifacts.files import read_json
from leap_suite.artifacts.masks import jaccard
from leap_suite.figures.panels import PAGE_INCHES, distinct, new_figure
from leap_suite.plan.methods import method_label
from leap_suite.tables.context import Context

_CELL_INCHES, _NAME_INCHES = 0.28, 0.95
_CELLS_IN_COLUMN = 8
_COLOURS = mpl.colormaps["Purples"]


def agreement(manifests: Sequence[Path], masks: Sequence[Path], context: Context) -> Figure:
    """Jaccard index |A and B| / |A or B| of each pair of methods, one panel per sparsity.

    `manifests` and `masks` are of the same hardened checkpoints, one seed per method; models are
    averaged. Two random masks of density d have d / (2 - d). Pairs are below the diagonal; all
    panels share a colour scale. Raises ValueError where no model has two methods at one sparsity.
    """
    pairs, methods = _read(manifests, masks)
    if pairs.empty:
        raise ValueError("no model has the masks of two methods at one sparsity")
    side = _CELL_INCHES * (len(methods) - 1)
    sparsities = distinct(pairs.index.get_level_values("sparsity"))
    columns = min(len(sparsities), max(1, int((PAGE_INCHES - _NAME_INCHES) / (side + 0.1))))
    rows = math.ceil(len(sparsities) / columns)
    figure = new_figure(0.3 + rows * (0.9 + side), columns * (len(methods) - 1) <= _CELLS_IN_COLUMN)
    figure.suptitle("Jaccard index of the masks of two methods")
    panels = figure.subplots(rows, columns, sharey=True, squeeze=False).flatten()
    colours = Normalize(pairs.min(), pairs.max())
    for axes, sparsity in zip(panels, sparsities, strict=False):
        _draw_triangle(axes, pairs[sparsity], methods, colours)
        density = 1 - float(sparsity)
        axes.set_title(f"sparsity {sparsity}\n(by chance {density / (2 - density):.2f})")
    for axes in panels[len(sparsities) :]:
        axes.set_axis_off()
    return figure


def _read(manifests: Sequence[Path], masks: Sequence[Path]) -> tuple[pd.Series, list[str]]:
    """Means over models by sparsity and pair of methods; and all methods."""
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


def _draw_triangle(
    axes: Axes, values: pd.Series, methods: Sequence[str], colours: Normalize
) -> None:
    """Lower triangle: rows without the first method, columns without the last."""
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
