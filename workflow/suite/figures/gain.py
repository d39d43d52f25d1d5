"""What the subject gains over each baseline, item by item."""

from collections.abc import Mapping
from pathlib import Path

from matplotlib.figure import Figure

from suite.figures.rows import (
    draw_methods,
    few_ticks,
    panel_inches,
    row_panels,
    sparsity_handles,
)
from suite.figures.style import add_legend, distinct, method_looks, save, style, width
from suite.plan.methods import method_label
from suite.results.frame import Results, is_pruned
from suite.results.statistics import Paired, compare
from suite.tables.told import Told

# (model, sparsity) -> method -> the subject's accuracy minus the method's
_Gains = Mapping[tuple[str, float], Mapping[str, Paired]]


def gain(results: Results, told: Told, outputs: list[Path]) -> None:
    """Draw the subject's average accuracy minus each baseline's, in points, a panel a model.

    Bars are one standard error, paired by item. Seeds are averaged, and controls are no baselines.
    Raises ValueError where no cell has the subject and a baseline.
    """
    gains = _gains(results, told.subject)
    if not gains:
        raise ValueError(f"no cell has both {method_label(told.subject)} and a baseline")
    with style():
        save(_draw(gains, method_label(told.subject)), outputs, told.note)


def _gains(results: Results, subject: str) -> _Gains:
    cells = results.cells[is_pruned(results.cells) & ~results.cells["control"]]
    found = {}
    for (model, sparsity), of_place in cells.groupby(["model", "sparsity"], sort=False):
        methods = distinct(of_place["method"])
        if subject in methods and len(methods) > 1:
            scores = {name: results.scores_of(model, sparsity, name) for name in methods}
            ours = scores.pop(subject)
            found[model, sparsity] = {name: compare(ours, other) for name, other in scores.items()}
    return found


def _draw(gains: _Gains, subject: str) -> Figure:
    looks = method_looks(distinct([method for of_place in gains.values() for method in of_place]))
    models = distinct([model for model, _ in gains])
    sparsities = sorted({sparsity for _, sparsity in gains})
    inches = panel_inches(len(looks), len(sparsities)) + 0.6
    figure = Figure(figsize=(width("gain", len(models)), inches), layout="constrained")
    label = f"Average accuracy of {subject} minus\nthat of the baseline (points)\n"
    label += "± paired standard error"
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
    add_legend(figure, sparsity_handles([f"{s:g}" for s in sparsities]))
    return figure
