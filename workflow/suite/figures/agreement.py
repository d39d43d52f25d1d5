"""How far the methods agree on the weights to keep: Jaccard index of their masks."""

from collections.abc import Mapping, Sequence
from itertools import combinations
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from suite.artifacts.files import read_json
from suite.artifacts.masks import jaccard
from suite.figures.style import distinct, save, style
from suite.plan.methods import method_label

# sparsity -> (method, method) -> mean over models
_Pairs = Mapping[str, Mapping[tuple[str, str], float]]


def agreement(
    manifests: Sequence[Path], masks: Sequence[Path], outputs: list[Path], note: str
) -> None:
    """Draw |A and B| / |A or B| of the masks of each two methods, a panel a sparsity.

    Both lists are of the same hardened checkpoints in the same order, one seed a method; models
    are averaged. Two masks drawn at random at density d have d / (2 - d).
    """
    pairs, methods = _read(manifests, masks)
    with style():
        save(_draw(pairs, methods), outputs, note)


def _read(manifests: Sequence[Path], masks: Sequence[Path]) -> tuple[_Pairs, list[str]]:
    cells: dict[tuple[str, str], dict[str, Path]] = {}
    for path, mask in zip(manifests, masks, strict=True):
        manifest = read_json(path)
        place = (str(manifest["target_sparsity"]), manifest["model"])
        cells.setdefault(place, {})[manifest["method"]] = mask
    methods = distinct([method for of_cell in cells.values() for method in of_cell])
    values: dict[str, dict[tuple[str, str], list[float]]] = {}
    for (sparsity, _), of_cell in cells.items():
        of_pairs = values.setdefault(sparsity, {})
        for method in of_cell:
            of_pairs.setdefault((method, method), []).append(1.0)
        for one, other in combinations(of_cell, 2):  # large masks are read from disk each time
            index = jaccard(of_cell[one], of_cell[other])
            of_pairs.setdefault((one, other), []).append(index)
            of_pairs.setdefault((other, one), []).append(index)
    pairs = {
        sparsity: {pair: float(np.mean(found)) for pair, found in of_sparsity.items()}
        for sparsity, of_sparsity in sorted(values.items())
    }
    return pairs, methods


def _draw(pairs: _Pairs, methods: Sequence[str]) -> Figure:
    side = 1.2 + 0.38 * len(methods)
    figure = Figure(figsize=(side * len(pairs), side), layout="constrained")
    panels = figure.subplots(1, len(pairs), squeeze=False)[0]
    for axes, (sparsity, values) in zip(panels, pairs.items(), strict=True):
        _draw_matrix(axes, values, methods)
        density = 1 - float(sparsity)
        axes.set_title(f"sparsity {sparsity} (by chance {density / (2 - density):.2f})")
    return figure


def _draw_matrix(
    axes: Axes, values: Mapping[tuple[str, str], float], methods: Sequence[str]
) -> None:
    matrix = np.array([[values.get((a, b), np.nan) for b in methods] for a in methods])
    axes.imshow(matrix, vmin=0, vmax=1, cmap="Blues")
    for row, line in enumerate(matrix):
        for column, value in enumerate(line):
            colour = "white" if value > 0.6 else "black"
            text = "" if np.isnan(value) else f"{value:.2f}"
            axes.text(column, row, text, ha="center", va="center", color=colour, fontsize=7)
    labels = [method_label(method) for method in methods]
    axes.set_xticks(range(len(methods)), labels, rotation=45, ha="right")
    axes.set_yticks(range(len(methods)), labels)
    axes.tick_params(length=0)
    axes.grid(visible=False)
    axes.spines[:].set_visible(False)
