"""Density of the subject's masks by decoder block and kind of layer."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from leap_suite.artifacts.files import read_json
from leap_suite.figures.panels import add_legend, distinct, new_figure, title_panels
from leap_suite.figures.style import DENSE_LINE, outlined, shades
from leap_suite.tables.context import Context

_MARKERS = 6  # on a line, at most


def density(manifests: Sequence[Path], context: Context) -> Figure:
    """Density against decoder block: one line per kind of layer, one panel per model and sparsity.

    The dashed line is the density of methods with a uniform budget per layer.
    """
    read = [read_json(path) for path in manifests]
    models = distinct(manifest["model"] for manifest in read)
    sparsities = sorted({manifest["target_sparsity"] for manifest in read})
    kept = [_kept(manifest) for manifest in read]
    looks = shades(distinct(kind for kinds in kept for kind in kinds))
    rows, columns = len(sparsities), len(models)
    figure = new_figure(0.9 + 1.6 * rows, is_narrow=columns == 1)
    panels = figure.subplots(rows, columns, sharex="col", sharey="row", squeeze=False)
    for manifest, kinds in zip(read, kept, strict=True):
        sparsity, column = manifest["target_sparsity"], models.index(manifest["model"])
        axes = panels[sparsities.index(sparsity), column]
        axes.axhline(100 * (1 - sparsity), **DENSE_LINE)
        axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
        for rank, (kind, values) in enumerate(kinds.items()):
            # at different blocks for each kind
            every = math.ceil(len(values) / _MARKERS)
            marks = {**outlined(looks[kind]), "markevery": (rank % every, every)}
            axes.plot(range(len(values)), values, **marks)
    title_panels(panels[0], models)
    for axes, sparsity in zip(panels[:, 0], sparsities, strict=True):
        axes.set_ylabel(f"Weights kept (%)\nat sparsity {sparsity:g}")
    figure.supxlabel("Decoder block")
    by_kind = {kind: outlined(look) for kind, look in looks.items()}
    add_legend(figure, {"uniform": DENSE_LINE, **by_kind})
    return figure


def _kept(manifest: Mapping[str, Any]) -> dict[str, list[float]]:
    """Density in percent by kind of layer (q, k, up, ...) and block."""
    kinds: dict[str, list[float]] = {}
    for name, sparsity in manifest["layer_sparsity"].items():
        kind = name.rsplit(".", 1)[1].removesuffix("_proj")
        kinds.setdefault(kind, []).append(100 * (1 - sparsity))
    return kinds
