"""Ablations: a base method and its variants, at one sparsity, compared seed by seed.

A variant of the base method `leap` is a method named `leap-<variant>`. Both run with the same
seeds, so differences are taken within a seed before they are averaged.
"""

import math
from collections.abc import Mapping
from typing import Any

import pandas as pd

from suite.plan.methods import method_label
from suite.results.frame import Results, written
from suite.tables.caption import mean_accuracy
from suite.tables.generated import accuracy, bold_sentence
from suite.tables.markdown import escaped, table
from suite.tables.numbers import NONE, number, perplexity
from suite.tables.text import csv_text, lines_text, mixed_lines
from suite.tables.told import Told

BASE = "(base)"  # what stands for a variant's name in the rows of the base itself


def ablations(results: Results, told: Told) -> Mapping[str, str]:
    """The rows as CSV and Markdown."""
    rows = ablation_rows(results, told)
    return {"csv": csv_text(rows), "md": lines_text(_markdown(results, rows, told))}


def ablation_rows(results: Results, told: Told) -> pd.DataFrame:
    """One row a model and variant, the base first, variants as in the study's section.

    `average` (the mean accuracy over the tasks) and what is derived from it are in percent,
    `achieved_sparsity` is a fraction and `seeds` a count. `_std` is the sample standard deviation
    over seeds, `_difference` the mean of the differences variant minus base and `_stderr` the
    standard error of that mean. Both are NaN for a single seed.
    """
    varied = told.study["variants"]
    base = varied["base"]
    methods = {BASE: base, **{name: f"{base}-{name}" for name in varied["variants"]}}
    cells = results.cells.set_index(["model", "method", "seed"]).sort_index()
    return pd.DataFrame(
        {
            "model": model,
            "method": method,
            "variant": variant,
            "sparsity": written(cells["sparsity"].iloc[0]),
            **_of_variant(cells.loc[model, method], cells.loc[model, base]),
            "tasks": "generated" if results.generated else "real",
        }
        for model in results.models
        for variant, method in methods.items()
    )[_COLUMNS]


def variant_label(variant: str, method: str) -> str:
    """How a variant is written for readers; the base is written as its method is everywhere."""
    return method_label(method) if variant == BASE else variant.replace("-", " ")


_MEASURED = [
    f"{measure}{suffix}"
    for measure in ("ppl", "average")
    for suffix in ("", "_std", "_difference", "_difference_stderr")
]
_COLUMNS = ["model", "method", "variant", "sparsity", "seeds", "tasks", "achieved_sparsity",
            *_MEASURED]  # fmt: skip


def _of_variant(seeds: pd.DataFrame, of_base: pd.DataFrame) -> dict[str, float]:
    """The numbers of a variant; both are indexed by the same seeds."""
    found = {"seeds": len(seeds), "achieved_sparsity": seeds["achieved_sparsity"].mean()}
    for measure in ("ppl", "average"):
        differences = seeds[measure] - of_base[measure]
        found |= {
            measure: seeds[measure].mean(),
            f"{measure}_std": seeds[measure].std(),
            f"{measure}_difference": differences.mean(),
            f"{measure}_difference_stderr": differences.std() / math.sqrt(len(differences)),
        }
    return found


def _markdown(results: Results, rows: pd.DataFrame, told: Told) -> list[str]:
    measure = accuracy(results.generated)
    headings = ["Variant", "Sparsity (%)", "Perplexity", "Δ perplexity", f"{measure} (%)",
                f"Δ {measure.lower()}"]  # fmt: skip
    lines = [bold_sentence(results.generated) + _caption(results, rows.iloc[0], told)]
    for model, block in rows.groupby("model", sort=False):
        lines += ["", f"### {escaped(str(model))}", ""]
        lines += table(headings, map(_printed, block.itertuples()), "lrrrrr")
    return [*lines, *mixed_lines(results)]


def _printed(row: Any) -> list[str]:
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


def _caption(results: Results, base: pd.Series, told: Told) -> str:
    label = escaped(method_label(base["method"]))
    caption = (
        f"Scale `{told.scale}`. Variants of {label} at sparsity {base['sparsity']}: perplexity "
        f"(lower is better), {mean_accuracy(results)} (higher is better), and Δ, the difference of "
        f"each to {label}."
    )
    if base["seeds"] == 1:
        return f"{caption} One seed."
    return (
        f"{caption} Mean ± sample standard deviation over {base['seeds']} seeds; differences are "
        "taken within a seed, and given as mean ± standard error of the mean."
    )
