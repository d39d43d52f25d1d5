"""The paper's claim, judged on this grid: LEAP against the best layer-wise method and ADMM."""

import statistics
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from suite.artifacts.files import write_json
from suite.artifacts.items import read_items
from suite.plan.cell import DENSE, LEAP
from suite.tables.evaluations import Cell
from suite.tables.paired import Paired, combine, compare

ADMM = "admm"
SIGNIFICANT = 0.05  # p below which a difference counts as one

# (model, sparsity) -> method -> mean over seeds
Means = Mapping[tuple[str, str], Mapping[str, float]]
# (model, method, sparsity, seed) -> file of items
ItemFiles = Mapping[tuple[str, str, str, int], Path]


def headline(
    cells: Sequence[Cell], items: ItemFiles, layer_wise: Sequence[str]
) -> dict[str, dict[str, Any]]:
    """Differences LEAP minus baseline, by measure and baseline.

    For each measure (average accuracy in percent, perplexity) there is one entry for the best
    layer-wise method of each (model, sparsity) and one for ADMM, as `judge` gives them. Those of
    accuracy also have a paired test over the items, for each cell and for their mean. Seeds are
    averaged. An entry is null where the grid lacks LEAP or the baseline.
    """
    accuracy = judge(_means(cells, lambda cell: cell.average), layer_wise, more=True)
    for entry in ("leap_minus_best_layer_wise", "leap_minus_admm"):
        if accuracy[entry]:
            _test(accuracy[entry], cells, items)
    perplexity = judge(_means(cells, lambda cell: cell.perplexity), layer_wise, more=False)
    return {"average_accuracy": accuracy, "perplexity": perplexity}


def item_files(cells: Sequence[Cell], files: Sequence[Path]) -> ItemFiles:
    """Each cell's file of items; both in one order."""
    keys = [(cell.model, cell.method, cell.sparsity, cell.seed) for cell in cells]
    return dict(zip(keys, files, strict=True))


def write_headline(judged: Mapping[str, Any], path: Path) -> None:
    """Write `headline.json`."""
    write_json(path, judged)


def judge(means: Means, layer_wise: Sequence[str], more: bool) -> dict[str, Any]:
    """LEAP minus the best of `layer_wise`, and minus ADMM: every cell, and what they sum up to.

    `more` says whether more is better. Each entry has mean, minimum and maximum of the
    differences and the number of cells in which LEAP is better.
    """
    return {
        "higher_is_better": more,
        "leap_minus_best_layer_wise": _differences(means, layer_wise, more),
        "leap_minus_admm": _differences(means, [ADMM], more),
    }


def _means(cells: Sequence[Cell], value: Callable[[Cell], float]) -> Means:
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


def _differences(means: Means, baselines: Sequence[str], more: bool) -> dict[str, Any] | None:
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


def _test(entry: dict[str, Any], cells: Sequence[Cell], items: ItemFiles) -> None:
    """Add standard errors and p values of paired tests to an entry and its cells."""
    tests = []
    for row in entry["cells"]:
        methods = (LEAP, row["baseline"])
        ours, baselines = (
            [
                read_items(items[cell.model, cell.method, cell.sparsity, cell.seed])
                for cell in cells
                if (cell.model, cell.sparsity, cell.method)
                == (row["model"], row["sparsity"], method)
            ]
            for method in methods
        )
        test = compare(ours, baselines)
        tests.append(test)
        row |= {"standard_error": test.standard_error, "p_value": test.p_value}
    whole = combine(tests)
    entry |= {
        "standard_error": whole.standard_error,
        "p_value": whole.p_value,
        "cells_significantly_better": _significant(tests, 1),
        "cells_significantly_worse": _significant(tests, -1),
    }


def _significant(tests: Sequence[Paired], sign: int) -> int:
    return sum(sign * t.difference > 0 and t.p_value < SIGNIFICANT for t in tests)
