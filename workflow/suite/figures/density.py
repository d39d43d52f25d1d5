"""Where LEAP keeps weights: density by decoder block and kind of layer, from its manifests."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from suite.artifacts.files import read_json
from suite.figures.style import (
    PAGE_INCHES,
    add_legend,
    distinct,
    line_style,
    model_looks,
    save,
    style,
)


@dataclass(frozen=True)
class _Chosen:
    """One learned mask: density in percent by kind of layer, block after block."""

    model: str
    sparsity: float
    density: Mapping[str, Sequence[float]]


def density(manifests: Sequence[Path], outputs: list[Path], note: str) -> None:
    """Draw density against decoder block, a line a kind of layer, a panel a model and sparsity.

    The dashed line is the density that methods with a budget for each layer have everywhere.
    """
    chosen = [_read(path) for path in manifests]
    with style():
        save(_draw(chosen), outputs, note)


def _read(path: Path) -> _Chosen:
    manifest = read_json(path)
    kinds: dict[str, list[float]] = {}
    for name, sparsity in manifest["layer_sparsity"].items():
        kind = re.sub(r"_proj$", "", name.rsplit(".", 1)[1])
        kinds.setdefault(kind, []).append(100 * (1 - sparsity))
    return _Chosen(manifest["model"], manifest["target_sparsity"], kinds)


def _draw(chosen: Sequence[_Chosen]) -> Figure:
    models = distinct([mask.model for mask in chosen])
    sparsities = sorted({mask.sparsity for mask in chosen})
    kinds = distinct([kind for mask in chosen for kind in mask.density])
    looks = model_looks(kinds)
    size = (min(PAGE_INCHES, 1.6 + 1.9 * len(models)), 0.9 + 1.5 * len(sparsities))
    figure = Figure(figsize=size, layout="constrained")
    panels = figure.subplots(
        len(sparsities), len(models), sharex="col", sharey="row", squeeze=False
    )
    for mask in chosen:
        row, column = sparsities.index(mask.sparsity), models.index(mask.model)
        axes = panels[row, column]
        axes.axhline(100 * (1 - mask.sparsity), color="black", linewidth=0.9, linestyle=(0, (5, 3)))
        for kind, values in mask.density.items():
            axes.plot(range(len(values)), values, **line_style(looks[kind]))
        _label(axes, mask, first_row=row == 0, first_column=column == 0)
    figure.supxlabel("Decoder block", fontsize=8)
    handles = [Line2D([], [], label=kind, **line_style(look)) for kind, look in looks.items()]
    add_legend(figure, handles)
    return figure


def _label(axes: Axes, mask: _Chosen, first_row: bool, first_column: bool) -> None:
    axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    if first_row:
        axes.set_title(mask.model)
    if first_column:
        axes.set_ylabel(f"Weights kept (%)\nat sparsity {mask.sparsity:g}")
