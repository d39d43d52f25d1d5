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

from suite.plan.methods import method_label
from suite.tables.evaluations import Cell
from suite.tables.main import markdown_text, write_frame, write_lines

BASE = "(base)"  # what stands for a variant's name in the rows of the base itself

_COLUMNS = ("Variant", "Sparsity (%)", "Perplexity", "Δ perplexity", "Accuracy (%)", "Δ accuracy")


@dataclass(frozen=True)
class Row:
    """A variant on one model, over its seeds; fields are the columns of the CSV table.

    `average` (the mean accuracy over the tasks) and what is derived from it are in percent,
    `achieved_sparsity` is a fraction and `seeds` a count. `_std` is the sample standard deviation
    over seeds, `_difference` the mean of the differences variant minus base and `_stderr` the
    standard error of that mean. Both are NaN for a single seed.
    """

    model: str
    method: str
    variant: str
    sparsity: str
    seeds: int
    achieved_sparsity: float
    ppl: float
    ppl_std: float
    ppl_difference: float
    ppl_difference_stderr: float
    average: float
    average_std: float
    average_difference: float
    average_difference_stderr: float


def ablation_rows(cells: Sequence[Cell], base: str, variants: Sequence[str]) -> list[Row]:
    """One row a model and variant, the base first: models as they come in `cells`, variants as in
    `variants`, which gives their names without the base's.

    Raises ValueError if a method, model and seed is missing or occurs twice, if a cell belongs to
    another method, or if not all cells have the same sparsity.
    """
    methods = {BASE: base, **{variant: f"{base}-{variant}" for variant in variants}}
    _check_cells(cells, list(methods.values()))
    seeds = sorted({cell.seed for cell in cells})
    found = {(cell.model, cell.method, cell.seed): cell for cell in cells}
    rows = []
    for model in dict.fromkeys(cell.model for cell in cells):
        of_base = [found[model, base, seed] for seed in seeds]
        for variant, method in methods.items():
            of_variant = [found[model, method, seed] for seed in seeds]
            rows.append(_row(variant, of_variant, of_base))
    return rows


def write_ablation_csv(rows: Sequence[Row], path: Path) -> None:
    """Write one line a row, in the order given; NaN is an empty field."""
    write_frame(pd.DataFrame(asdict(row) for row in rows), path)


def write_ablation_markdown(rows: Sequence[Row], path: Path, scale: str, base: str) -> None:
    """Write the rows as GitHub Markdown, one block a model; `scale` and `base` are for readers."""
    rule = ["---", *["---:"] * (len(_COLUMNS) - 1)]
    lines = [_caption(rows[0], scale, base)]
    for model, block in groupby(rows, key=lambda row: row.model):
        printed = [_printed(row) for row in block]
        lines += ["", f"### {markdown_text(model)}", ""]
        lines += [f"| {' | '.join(texts)} |" for texts in (_COLUMNS, rule, *printed)]
    write_lines(path, lines)


def variant_label(variant: str, method: str) -> str:
    """How a variant is written for readers; the base is written as its method is everywhere."""
    return method_label(method) if variant == BASE else variant.replace("-", " ")


def _check_cells(cells: Sequence[Cell], methods: Sequence[str]) -> None:
    """Refuse a grid of models, methods and seeds that is not complete, or holds anything else."""
    found: set[tuple[str, str, int]] = set()
    for cell in cells:
        key = (cell.model, cell.method, cell.seed)
        if cell.method not in methods:
            raise ValueError(f"{_name(*key)}: the method is not among {list(methods)}")
        if float(cell.sparsity) != float(cells[0].sparsity):
            raise ValueError(
                f"{_name(*key)}: sparsity {cell.sparsity}, but {cells[0].sparsity} elsewhere"
            )
        if key in found:
            raise ValueError(f"{_name(*key)}: occurs twice")
        found.add(key)
    models, seeds = {key[0] for key in found}, {key[2] for key in found}
    missing = sorted(set(product(models, methods, seeds)) - found)
    if missing:
        raise ValueError(f"missing: {'; '.join(_name(*key) for key in missing)}")
    if not found:
        raise ValueError("no cells given")


def _name(model: str, method: str, seed: int) -> str:
    return f"{method} on {model} with seed {seed}"


def _row(variant: str, cells: Sequence[Cell], of_base: Sequence[Cell]) -> Row:
    """The row of `cells`, which have the seeds of `of_base` in the same order."""
    first = cells[0]
    return Row(
        model=first.model,
        method=first.method,
        variant=variant,
        sparsity=first.sparsity,
        seeds=len(cells),
        achieved_sparsity=statistics.fmean(cell.achieved_sparsity for cell in cells),
        **_numbers("ppl", lambda cell: cell.perplexity, cells, of_base),
        **_numbers("average", lambda cell: cell.average, cells, of_base),
    )


def _numbers(
    name: str, value: Callable[[Cell], float], cells: Sequence[Cell], of_base: Sequence[Cell]
) -> Mapping[str, float]:
    values = [value(cell) for cell in cells]
    differences = [value(cell) - value(base) for cell, base in zip(cells, of_base, strict=True)]
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
    ppl_difference = _with_error(row.ppl_difference, row.ppl_difference_stderr, 3, "+")
    difference = _with_error(row.average_difference, row.average_difference_stderr, 2, "+")
    return [
        markdown_text(variant_label(row.variant, row.method)),
        f"{100 * row.achieved_sparsity:.2f}",
        _with_error(row.ppl, row.ppl_std, 3),
        "–" if row.variant == BASE else ppl_difference,
        _with_error(row.average, row.average_std, 2),
        "–" if row.variant == BASE else difference,
    ]


def _with_error(value: float, error: float, decimals: int, sign: str = "") -> str:
    """A number and its error, which a single seed does not have."""
    printed = _print(value, decimals, sign)
    return printed if math.isnan(error) else f"{printed} ± {_print(error, decimals)}"


def _print(value: float, decimals: int, sign: str = "") -> str:
    """Fixed decimals, never "-0.00"; a broken model's perplexity in scientific notation."""
    return f"{value:{sign}.2e}" if abs(value) >= 1e4 else f"{value:{sign}z.{decimals}f}"


def _caption(row: Row, scale: str, base: str) -> str:
    label = markdown_text(method_label(base))
    caption = (
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
