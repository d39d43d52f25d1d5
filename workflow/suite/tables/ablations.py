"""Ablations: a base method and its variants, at one sparsity, compared seed by seed.

A variant of the base method `leap` is a method named `leap-<variant>`. Both run with the same
seeds, so differences are taken within a seed before they are averaged.
"""

import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import groupby, product
from pathlib import Path

import pandas as pd

from suite.plan.cell import Cell
from suite.plan.methods import method_label
from suite.tables.evaluations import Evaluated
from suite.tables.generated import accuracy, bold_sentence
from suite.tables.main import write_frame, write_lines
from suite.tables.markdown import escaped, table
from suite.tables.mixed import lines_below
from suite.tables.numbers import NONE, number, perplexity

BASE = "(base)"  # what stands for a variant's name in the rows of the base itself


@dataclass(frozen=True)
class Row:
    """A variant on one model, over its seeds; fields are the columns of the CSV table.

    `tasks` is "real" or "generated". `average` (the mean accuracy over the tasks) and what is
    derived from it are in percent, `achieved_sparsity` is a fraction and `seeds` a count. `_std` is
    the sample standard deviation over seeds, `_difference` the mean of the differences variant
    minus base and `_stderr` the standard error of that mean. Both are NaN for a single seed.
    """

    model: str
    method: str
    variant: str
    sparsity: str
    seeds: int
    tasks: str
    achieved_sparsity: float
    ppl: float
    ppl_std: float
    ppl_difference: float
    ppl_difference_stderr: float
    average: float
    average_std: float
    average_difference: float
    average_difference_stderr: float


def ablation_rows(results: Sequence[Evaluated], base: str, variants: Sequence[str]) -> list[Row]:
    """One row a model and variant, the base first: models as they come in `results`, variants as in
    `variants`, which gives their names without the base's.

    Raises ValueError if a method, model and seed is missing or occurs twice, if a cell belongs to
    another method, or if not all cells have the same sparsity.
    """
    methods = {BASE: base, **{variant: f"{base}-{variant}" for variant in variants}}
    found = _checked(results, list(methods.values()))
    sparsity = results[0].cell.sparsity
    seeds = sorted({cell.seed for cell in found})

    def of(model: str, method: str) -> list[Evaluated]:
        return [found[Cell(model, method, sparsity, seed)] for seed in seeds]

    return [
        _row(variant, of(model, method), of(model, base))
        for model in dict.fromkeys(cell.model for cell in found)
        for variant, method in methods.items()
    ]


def write_ablation_csv(rows: Sequence[Row], path: Path) -> None:
    """Write one line a row, in the order given; NaN is an empty field."""
    write_frame(pd.DataFrame(asdict(row) for row in rows), path)


def write_ablation_markdown(
    rows: Sequence[Row], path: Path, scale: str, base: str, mixed: str = ""
) -> None:
    """Write the rows as GitHub Markdown, one block a model; `scale` and `base` are for readers.

    `mixed` stands below the table.
    """
    measure = accuracy(rows[0].tasks == "generated")
    headings = ["Variant", "Sparsity (%)", "Perplexity", "Δ perplexity"]
    headings += [f"{measure} (%)", f"Δ {measure.lower()}"]
    lines = [_caption(rows[0], scale, base)]
    for model, block in groupby(rows, key=lambda row: row.model):
        lines += ["", f"### {escaped(model)}", ""]
        lines += table(headings, [_printed(row) for row in block], "lrrrrr")
    write_lines(path, [*lines, *lines_below(mixed)])


def variant_label(variant: str, method: str) -> str:
    """How a variant is written for readers; the base is written as its method is everywhere."""
    return method_label(method) if variant == BASE else variant.replace("-", " ")


def _checked(results: Sequence[Evaluated], methods: Sequence[str]) -> dict[Cell, Evaluated]:
    """The results by cell, which are a whole grid of models, methods and seeds and no more."""
    if not results:
        raise ValueError("no cells given")
    found: dict[Cell, Evaluated] = {}
    sparsity = results[0].cell.sparsity
    for result in results:
        cell = result.cell
        if cell.method not in methods:
            raise ValueError(f"{_name(cell)}: the method is not among {list(methods)}")
        if cell.sparsity != sparsity:
            raise ValueError(f"{_name(cell)}: sparsity {cell.sparsity}, but {sparsity} elsewhere")
        if cell in found:
            raise ValueError(f"{_name(cell)}: occurs twice")
        found[cell] = result
    models, seeds = {cell.model for cell in found}, {cell.seed for cell in found}
    missing = [
        _name(cell)
        for model, method, seed in product(sorted(models), sorted(methods), sorted(seeds))
        if (cell := Cell(model, method, sparsity, seed)) not in found
    ]
    if missing:
        raise ValueError(f"missing: {'; '.join(missing)}")
    return found


def _name(cell: Cell) -> str:
    return f"{cell.method} on {cell.model} with seed {cell.seed}"


def _row(variant: str, results: Sequence[Evaluated], of_base: Sequence[Evaluated]) -> Row:
    """The row of `results`, which have the seeds of `of_base` in the same order."""
    first = results[0]
    return Row(
        model=first.cell.model,
        method=first.cell.method,
        variant=variant,
        sparsity=first.cell.sparsity,
        seeds=len(results),
        tasks=first.tasks,
        achieved_sparsity=statistics.fmean(result.achieved_sparsity for result in results),
        **_numbers("ppl", lambda result: result.perplexity, results, of_base),
        **_numbers("average", lambda result: result.average, results, of_base),
    )


def _numbers(
    name: str,
    value: Callable[[Evaluated], float],
    results: Sequence[Evaluated],
    of_base: Sequence[Evaluated],
) -> Mapping[str, float]:
    values = [value(result) for result in results]
    pairs = zip(results, of_base, strict=True)
    differences = [value(result) - value(base) for result, base in pairs]
    return {
        name: statistics.fmean(values),
        f"{name}_std": _deviation(values),
        f"{name}_difference": statistics.fmean(differences),
        f"{name}_difference_stderr": _deviation(differences) / math.sqrt(len(differences)),
    }


def _deviation(values: Sequence[float]) -> float:
    """Sample standard deviation, NaN for a single value."""
    return statistics.stdev(values) if len(values) > 1 else math.nan


def _printed(row: Row) -> list[str]:
    ppl_difference = perplexity(row.ppl_difference, 3, "+", row.ppl_difference_stderr)
    difference = number(row.average_difference, 2, "+", row.average_difference_stderr)
    return [
        escaped(variant_label(row.variant, row.method)),
        number(100 * row.achieved_sparsity),
        perplexity(row.ppl, 3, error=row.ppl_std),
        NONE if row.variant == BASE else ppl_difference,
        number(row.average, error=row.average_std),
        NONE if row.variant == BASE else difference,
    ]


def _caption(row: Row, scale: str, base: str) -> str:
    label = escaped(method_label(base))
    caption = bold_sentence(row.tasks == "generated") + (
        f"Scale `{scale}`. Variants of {label} at sparsity {row.sparsity}: perplexity (lower is "
        "better), the plain mean of the six tasks' zero-shot accuracies (higher is better), and "
        f"Δ, the difference of each to {label}."
    )
    if row.seeds == 1:
        return f"{caption} One seed."
    return (
        f"{caption} Mean ± sample standard deviation over {row.seeds} seeds; differences are taken "
        "within a seed, and given as mean ± standard error of the mean."
    )
