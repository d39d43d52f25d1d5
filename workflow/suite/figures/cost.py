"""The price of pruning and what it buys: seconds and accuracy, from evaluations and manifests."""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from matplotlib.figure import Figure

from suite.artifacts.files import read_json
from suite.figures.rows import (
    draw_methods,
    few_ticks,
    log_ticks,
    panel_inches,
    row_panels,
    sparsity_handles,
)
from suite.figures.style import add_legend, distinct, method_looks, save, style, width
from suite.tables.evaluations import read_cells


@dataclass(frozen=True)
class _Priced:
    """A method on a model at a sparsity: what it took, and what came of it, averaged over seeds."""

    model: str
    method: str
    sparsity: str
    seconds: float
    accuracy: float
    accuracy_stderr: float


def cost(
    evaluations: Sequence[Path], manifests: Sequence[Path], outputs: list[Path], note: str
) -> None:
    """Draw seconds and average accuracy of every method, cheapest first, a panel a model.

    Both lists are of the same cells in the same order. Seconds are wall time as the job measures
    it, on the machine and at the load it happened to run: start-up of the process and of torch is
    never in it, loading is, but for trainings, of which only the training itself is counted. Of a
    method with a rule of its own, Snakemake measures the whole job, start-up included. The masks
    that a method takes from another are not counted. Bars are one standard error. Several seeds of
    a cell are averaged, and controls are left to the table.

    Raises ValueError where all cells are controls.
    """
    priced = _read(evaluations, manifests)
    if not priced:
        raise ValueError("no cell is of a method that is no control")
    with style():
        save(_draw(priced), outputs, note)


def _read(evaluations: Sequence[Path], manifests: Sequence[Path]) -> list[_Priced]:
    cells: dict[tuple[str, str, str], list[_Priced]] = {}
    for result, manifest in zip(read_cells(evaluations), manifests, strict=True):
        place = (result.cell.model, result.cell.method, result.cell.sparsity)
        if not result.control:
            seed = _Priced(*place, _seconds(manifest), result.average, result.average_stderr)
            cells.setdefault(place, []).append(seed)
    return [_mean(seeds) for seeds in cells.values()]


def _seconds(manifest: Path) -> float:
    """Of the training where there is one, of what the job does after start-up elsewhere."""
    cost = read_json(manifest)["pruning"]["cost"]
    return float(cost.get("training_seconds", cost["wall_time_seconds"]))


def _mean(seeds: Sequence[_Priced]) -> _Priced:
    first = seeds[0]
    return _Priced(
        *(first.model, first.method, first.sparsity),
        seconds=statistics.fmean(seed.seconds for seed in seeds),
        accuracy=statistics.fmean(seed.accuracy for seed in seeds),
        # All seeds answer the same items, so more seeds do not make this error smaller.
        accuracy_stderr=statistics.fmean(seed.accuracy_stderr for seed in seeds),
    )


def _draw(priced: Sequence[_Priced]) -> Figure:
    models = distinct([cell.model for cell in priced])
    looks = method_looks(_cheapest_first(priced))
    sparsities = sorted({cell.sparsity for cell in priced}, key=float)
    inches = panel_inches(len(looks), len(sparsities)) * min(2, len(models)) + 0.6
    figure = Figure(figsize=(width("cost", len(models)), inches), layout="constrained")
    labels = ["Seconds inside\nthe job, without\nstart-up (log scale)"]
    labels += ["Average\naccuracy (%)\n± standard error"]
    top, bottom = row_panels(figure, labels, models)
    for seconds, accuracy, model in zip(top, bottom, models, strict=True):
        of_model = [cell for cell in priced if cell.model == model]
        prices = [(c.method, c.sparsity, c.seconds, math.nan) for c in of_model]
        draw_methods(seconds, looks, sparsities, prices)
        bought = [(c.method, c.sparsity, c.accuracy, c.accuracy_stderr) for c in of_model]
        draw_methods(accuracy, looks, sparsities, bought)
    log_ticks(top[0])
    few_ticks(bottom[0])
    add_legend(figure, sparsity_handles(sparsities))
    return figure


def _cheapest_first(priced: Sequence[_Priced]) -> list[str]:
    """Methods by the median over their cells."""

    def seconds(method: str) -> float:
        return statistics.median(cell.seconds for cell in priced if cell.method == method)

    return sorted(distinct([cell.method for cell in priced]), key=seconds)
