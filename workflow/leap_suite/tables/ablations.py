"""Ablations: a base method and its variants at one sparsity, paired by seed.

A variant of the base method `leap` is a method named `leap-<variant>`. Both run with the same
seeds, so differences are taken within a seed before they are averaged.
"""

import math
from collections.abc import Mapping

import pandas as pd

from leap_suite.plan.methods import method_label
from leap_suite.results.frame import Results, written
from leap_suite.tables.caption import accuracy, mean_accuracy
from leap_suite.tables.context import Context
from leap_suite.tables.entries import NONE, escaped, number, perplexity
from leap_suite.tables.text import Columns, captioned

BASE = "(base)"  # the base's entry in column `variant`


def ablations(results: Results, context: Context) -> Mapping[str, str]:
    """Table of the variants, as CSV and Markdown."""
    rows = ablation_rows(results, context)
    measure = accuracy(results.generated)
    columns: Columns = {
        "Variant": lambda row: escaped(variant_label(row.variant, row.method)),
        "Sparsity (%)": lambda row: number(100 * row.achieved_sparsity),
        "Perplexity": lambda row: perplexity(row.ppl, 3, error=row.ppl_std),
        "Δ perplexity": lambda row: (
            perplexity(row.ppl_difference, 3, "+", row.ppl_difference_stderr)
            if row.variant != BASE
            else NONE
        ),
        f"{measure} (%)": lambda row: number(row.average, error=row.average_std),
        f"Δ {measure.lower()}": lambda row: (
            number(row.average_difference, 2, "+", row.average_difference_stderr)
            if row.variant != BASE
            else NONE
        ),
    }
    return captioned(results, context, rows, _caption(results, rows.iloc[0]), columns, "lrrrrr")


def ablation_rows(results: Results, context: Context) -> pd.DataFrame:
    """One row per model and variant: the base first, then variants in the study's order.

    `average` (the mean accuracy over the tasks) and what is derived from it are in percent,
    `achieved_sparsity` is a fraction and `seeds` a count. `_std` is the sample standard deviation
    over seeds, `_difference` the mean of the differences variant minus base and `_stderr` the
    standard error of that mean. Both are NaN for a single seed.
    """
    varied = context.study["variants"]
    base = varied["base"]
    methods = {BASE: base, **{name: f"{base}-{name}" for name in varied["variants"]}}
    cells = results.cells.set_index(["model", "method", "seed"]).sort_index()
    return pd.DataFrame(
        {
            "model": model,
            "method": method,
            "variant": variant,
            "sparsity": written(cells["sparsity"].iloc[0]),
            "seeds": len(cells.loc[model, method]),
            "tasks": results.task_kind,
            **_of_variant(cells.loc[model, method], cells.loc[model, base]),
        }
        for model in results.models
        for variant, method in methods.items()
    )


def variant_label(variant: str, method: str) -> str:
    """Label of a variant: its name in words, or the method's label for the base."""
    return method_label(method) if variant == BASE else variant.replace("-", " ")


def _of_variant(seeds: pd.DataFrame, of_base: pd.DataFrame) -> dict[str, float]:
    """Statistics of a variant and its paired differences to the base; both indexed by seed."""
    found = {"achieved_sparsity": seeds["achieved_sparsity"].mean()}
    for measure in ("ppl", "average"):
        differences = seeds[measure] - of_base[measure]
        found |= {
            measure: seeds[measure].mean(),
            f"{measure}_std": seeds[measure].std(),
            f"{measure}_difference": differences.mean(),
            f"{measure}_difference_stderr": differences.std() / math.sqrt(len(differences)),
        }
    return found


def _caption(results: Results, base: pd.Series) -> str:
    label = escaped(method_label(base["method"]))
    caption = (
        f"Variants of {label} at sparsity {base['sparsity']}: perplexity "
        f"(lower is better), {mean_accuracy(results)} (higher is better), and Δ, the difference of "
        f"each to {label}."
    )
    if base["seeds"] == 1:
        return f"{caption} One seed."
    return (
        f"{caption} Mean ± sample standard deviation over {base['seeds']} seeds; differences are "
        "taken within a seed, and given as mean ± standard error of the mean."
    )
