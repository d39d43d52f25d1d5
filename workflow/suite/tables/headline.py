"""The paper's claim, judged on this grid: LEAP against the best of its opponents and ADMM."""

import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from suite.artifacts.files import write_json
from suite.artifacts.items import read_items
from suite.plan.cell import DENSE, LEAP, Cell
from suite.tables.evaluations import Evaluated
from suite.tables.mixed import sentence
from suite.tables.paired import Paired, combine, compare

ADMM = "admm"
ENTRIES = ("leap_minus_best_layer_wise", "leap_minus_best_of_all", "leap_minus_admm")
SIGNIFICANT = 0.05  # p below which a difference counts as one

# (model, sparsity) -> method -> mean over seeds
Means = Mapping[tuple[str, str], Mapping[str, float]]
# (model, sparsity) -> method -> seed -> value
Values = Mapping[tuple[str, str], Mapping[str, Mapping[int, float]]]
ItemFiles = Mapping[Cell, Path]


def headline(
    results: Sequence[Evaluated],
    items: ItemFiles,
    layer_wise: Sequence[str],
    retraining: Sequence[str] = (),
) -> dict[str, Any]:
    """Differences LEAP minus baseline, by measure and baseline.

    For each measure (average accuracy in percent, perplexity) there is one entry for the best
    layer-wise method of each (model, sparsity), among those of `layer_wise` (see
    `suite.plan.methods.opponents`), one for the best of these and of those of `retraining`, and one
    for ADMM, as `judge` gives them, and `seeds_std`: by how much a cell's difference varies with
    the seed (the root of the mean variance over cells; null with one seed). Those of accuracy also
    have a paired test over the items, for each cell and for their mean. Seeds are averaged. An
    entry is null where the grid lacks LEAP or the baseline, and that of the best of all where
    nothing in the grid is retrained. `mixed` says where results were not computed alike.
    """
    accuracy = _judge(results, lambda result: result.average, layer_wise, retraining, more=True)
    for name in ENTRIES:
        if accuracy[name]:
            _test(accuracy[name], items)
    perplexity = _judge(
        results, lambda result: result.perplexity, layer_wise, retraining, more=False
    )
    return {"average_accuracy": accuracy, "perplexity": perplexity, "mixed": sentence(results)}


def item_files(results: Sequence[Evaluated], files: Sequence[Path]) -> ItemFiles:
    """Each cell's file of items; both in one order."""
    return {result.cell: file for result, file in zip(results, files, strict=True)}


def write_headline(judged: Mapping[str, Any], path: Path) -> None:
    """Write `headline.json`."""
    write_json(path, judged)


def judge(
    means: Means, layer_wise: Sequence[str], more: bool, retraining: Sequence[str] = ()
) -> dict[str, Any]:
    """LEAP minus the best of `layer_wise`, of these and `retraining`, and minus ADMM.

    Every cell, and what they sum up to.

    `more` says whether more is better. Each entry has mean, minimum, maximum and standard deviation
    of the differences (`cells_std`, null for a single cell) and the number of cells in which LEAP
    is better.
    """
    best, of_all, admm = ENTRIES
    return {
        "higher_is_better": more,
        best: _differences(means, layer_wise, more),
        of_all: _differences(means, [*layer_wise, *retraining], more) if retraining else None,
        admm: _differences(means, [ADMM], more),
    }


def _judge(
    results: Sequence[Evaluated],
    value: Callable[[Evaluated], float],
    layer_wise: Sequence[str],
    retraining: Sequence[str],
    more: bool,
) -> dict[str, Any]:
    """`judge` on one measure of these results, and the spread over seeds."""
    values = _values(results, value)
    judged = judge(_means(values), layer_wise, more, retraining)
    for name in ENTRIES:
        if judged[name]:
            judged[name]["seeds_std"] = _seeds_std(judged[name], values)
    return judged


def _values(results: Sequence[Evaluated], value: Callable[[Evaluated], float]) -> Values:
    values: dict[tuple[str, str], dict[str, dict[int, float]]] = {}
    for result in results:
        cell = result.cell
        if cell.method != DENSE:
            of_place = values.setdefault((cell.model, cell.sparsity), {})
            of_place.setdefault(cell.method, {})[cell.seed] = value(result)
    return values


def _means(values: Values) -> Means:
    return {
        place: {method: statistics.fmean(seeds.values()) for method, seeds in methods.items()}
        for place, methods in values.items()
    }


def _seeds_std(entry: Mapping[str, Any], values: Values) -> float | None:
    """Root of the mean variance over seeds; a baseline that lacks a seed has its mean there."""
    variances = []
    for row in entry["cells"]:
        of_place = values[row["model"], row["sparsity"]]
        baseline = of_place[row["baseline"]]
        differences = [
            value - baseline.get(seed, row["baseline_value"])
            for seed, value in of_place[LEAP].items()
        ]
        if len(differences) > 1:
            variances.append(statistics.variance(differences))
    return math.sqrt(statistics.fmean(variances)) if variances else None


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
        "cells_std": statistics.stdev(differences) if len(differences) > 1 else None,
        "cells_better": sum(d > 0 if more else d < 0 for d in differences),
        "cells": rows,
    }


def _test(entry: dict[str, Any], items: ItemFiles) -> None:
    """Add standard errors and p values of paired tests to an entry and its cells."""
    tests = []
    for row in entry["cells"]:
        ours, baselines = (
            [
                read_items(file)
                for cell, file in items.items()
                if (cell.model, cell.sparsity, cell.method)
                == (row["model"], row["sparsity"], method)
            ]
            for method in (LEAP, row["baseline"])
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
