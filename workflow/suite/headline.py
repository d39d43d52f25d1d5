"""The paper's claim, judged on this grid: LEAP against the best layer-wise method and ADMM."""

import statistics
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from suite.evaluations import Cell
from suite.files import write_json
from suite.grid import DENSE

LEAP, ADMM = "leap", "admm"

_MEASURES: Mapping[str, tuple[Callable[[Cell], float], bool]] = {
    # name: (value of a cell, whether more is better)
    "average_accuracy": (lambda cell: cell.average, True),
    "perplexity": (lambda cell: cell.perplexity, False),
}


def write_headline(cells: Sequence[Cell], layer_wise: Sequence[str], path: Path) -> None:
    """Write `headline.json`: differences LEAP minus baseline, by measure and baseline.

    For each measure (average accuracy in percent, perplexity) there is one entry for the best
    layer-wise method of each (model, sparsity) and one for ADMM: every cell, and mean, minimum
    and maximum of the differences and the number of cells in which LEAP is better. Seeds are
    averaged. An entry is null where the grid lacks LEAP or the baseline.
    """
    write_json(path, {name: _judged(cells, layer_wise, *m) for name, m in _MEASURES.items()})


def _judged(
    cells: Sequence[Cell], layer_wise: Sequence[str], value: Callable[[Cell], float], more: bool
) -> dict[str, Any]:
    means = _means(cells, value)
    return {
        "higher_is_better": more,
        "leap_minus_best_layer_wise": _differences(means, layer_wise, more),
        "leap_minus_admm": _differences(means, [ADMM], more),
    }


def _means(
    cells: Sequence[Cell], value: Callable[[Cell], float]
) -> dict[tuple[str, str], dict[str, float]]:
    """Mean over seeds by (model, sparsity) and method."""
    seeds: dict[tuple[str, str], dict[str, list[float]]] = {}
    for cell in cells:
        if cell.method != DENSE:
            of_group = seeds.setdefault((cell.model, cell.sparsity), {})
            of_group.setdefault(cell.method, []).append(value(cell))
    return {
        group: {method: statistics.fmean(values) for method, values in methods.items()}
        for group, methods in seeds.items()
    }


def _differences(
    means: Mapping[tuple[str, str], Mapping[str, float]], baselines: Sequence[str], more: bool
) -> dict[str, Any] | None:
    """LEAP minus the best of `baselines` in every cell that has both."""
    rows: list[dict[str, Any]] = []
    for (model, sparsity), by_method in means.items():
        present = [name for name in baselines if name in by_method]
        if LEAP not in by_method or not present:
            continue
        best = (max if more else min)(present, key=by_method.__getitem__)
        rows.append(
            {
                "model": model,
                "sparsity": sparsity,
                "leap": by_method[LEAP],
                "baseline": best,
                "baseline_value": by_method[best],
                "difference": by_method[LEAP] - by_method[best],
            }
        )
    if not rows:
        return None
    differences = [row["difference"] for row in rows]
    return {
        "mean": statistics.fmean(differences),
        "min": min(differences),
        "max": max(differences),
        "cells_better": sum(d > 0 if more else d < 0 for d in differences),
        "cells": rows,
    }
