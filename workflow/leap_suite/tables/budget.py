"""Quality for tokens: methods at equal budgets of training text, over all models of a study."""

import math
from collections.abc import Iterator, Mapping
from fractions import Fraction
from typing import Any

import pandas as pd

from leap_suite.plan.cell import DENSE
from leap_suite.plan.methods import method_label
from leap_suite.plan.tokens import AS_IT_IS
from leap_suite.results.frame import Results, written
from leap_suite.results.statistics import average, combine, leads, over_places
from leap_suite.tables.caption import accuracy, mean_accuracy
from leap_suite.tables.context import Context
from leap_suite.tables.entries import NONE, PLUS_MINUS, bytes_text, escaped, number, perplexity
from leap_suite.tables.text import SECONDS, SECONDS_COLUMNS, Columns, captioned

_DENSE = {"method": DENSE, "amount": "", "tokens": 0, "share": math.nan}
_PLACE = ["sparsity", "tokens"]
_COSTS = ("wall_seconds", "cpu_seconds", "shipped_bytes")
_COLUMNS = [
    *("sparsity", "tokens", "share", "method", "amount", "seeds", "trials", "tasks"),
    *("average", "average_stderr", "ppl", "lead", "lead_stderr", "ppl_ratio", *_COSTS),
]


def budget(results: Results, context: Context) -> Mapping[str, str]:
    """Table of methods by sparsity and budget, as CSV and Markdown."""
    rows, label = budget_rows(results, context), method_label(context.subject)
    controls = _controls(results, context)
    # as printed, so that equal numbers look equal
    best_average = _best(rows, rows["average"].round(2), controls)
    best_ppl = _best(rows, -rows["ppl"].round(3), controls)
    columns: Columns = {
        "Sparsity": lambda row: row.sparsity if row.tokens else NONE,
        "Tokens": lambda row: f"{row.tokens:,}" if row.tokens else NONE,
        f"Of {label}'s": lambda row: share_text(row.share),
        "Method": lambda row: escaped(method_label(row.method)),
        f"{accuracy(results.generated)} (%)": lambda row: (
            _bold(number(row.average), row.Index in best_average)
            + f"{PLUS_MINUS}{number(row.average_stderr)}"
        ),
        "Perplexity": lambda row: _bold(perplexity(row.ppl, 3), row.Index in best_ppl),
        f"{label}'s lead (points)": lambda row: number(row.lead, 2, "+", row.lead_stderr),
        f"Perplexity ratio to {label}": lambda row: perplexity(row.ppl_ratio, 3),
        "Shipped": lambda row: bytes_text(row.shipped_bytes),
        **SECONDS_COLUMNS,
        "Seeds": lambda row: str(row.seeds),
        "Trials": lambda row: number(row.trials, 0),
    }
    caption, alignment = _caption(results, label), "lrrl" + "r" * (len(columns) - 4)
    return captioned(results, context, rows, caption, columns, alignment)


def budget_rows(results: Results, context: Context) -> pd.DataFrame:
    """Dense, then one row per sparsity, budget and method, in the order of `context.points`.

    `method` is the base method, `tokens` its budget and `share` this as a fraction of the
    subject's. Over models: `average`, the mean accuracy, and its error in percent; `ppl`, the
    geometric mean; the subject's `lead` at the same sparsity and budget with its error in points,
    and `ppl_ratio`, the row's perplexity to the subject's. NaN: leads of the subject over itself
    and without the subject at the budget, seconds and bytes of the dense model, unknown `trials`.
    Raises ValueError where compared checkpoints did not answer the same items.
    """
    rows = pd.DataFrame(_rows(results, context))
    rows = rows.sort_values(_PLACE, kind="stable", ignore_index=True)
    trials = rows["method"].map(context.trials).astype(float)
    sparsities = rows["sparsity"].map(written)
    rows = rows.assign(sparsity=sparsities, trials=trials, tasks=results.task_kind)
    return rows.reindex(columns=_COLUMNS)


def share_text(share: float) -> str:
    """A share of the subject's tokens, as a fraction: "1/8", "2"."""
    if math.isnan(share):
        return NONE
    fraction = Fraction(share).limit_denominator(128)
    return str(fraction) if math.isclose(fraction, share) else number(share)


def _rows(results: Results, context: Context) -> Iterator[dict[str, Any]]:
    """A row for each method and budget at each sparsity, with the subject's lead over it."""
    points = {n: p for n, p in context.points.items() if p["amount"] != AS_IT_IS}
    subjects = {p["tokens"]: n for n, p in points.items() if p["method"] == context.subject}
    for sparsity, at in results.cells.groupby("sparsity"):
        of_methods = dict([*at.groupby("method")])
        scores = {name: _scores(results, cells) for name, cells in of_methods.items()}
        for name, point in {DENSE: _DENSE, **points}.items():
            if name not in of_methods:
                continue
            row = {"sparsity": sparsity, **point, **_measured(of_methods[name], scores[name])}
            subject = subjects.get(point["tokens"], name)
            if subject != name:
                row |= _lead(scores[subject], scores[name])
                row["ppl_ratio"] = row["ppl"] / _perplexity(of_methods[subject])
            yield row


def _scores(results: Results, cells: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Scores by model of one method at one sparsity."""
    places = cells[["model", "sparsity", "method"]].drop_duplicates()
    return {model: results.scores_of(model, *rest) for model, *rest in places.to_numpy()}


def _measured(cells: pd.DataFrame, scores: Mapping[str, pd.DataFrame]) -> dict[str, Any]:
    """Measures of one method at one sparsity, over its models."""
    together = combine(map(average, scores.values()))
    return {
        "seeds": cells["seed"].nunique(),
        "average": together.difference,
        "average_stderr": together.standard_error,
        "ppl": _perplexity(cells),
        **{name: over_places(cells, name) for name in _COSTS},
    }


def _perplexity(cells: pd.DataFrame) -> float:
    return over_places(cells, "ppl", geometric=True)


def _lead(ours: Mapping[str, pd.DataFrame], theirs: Mapping[str, pd.DataFrame]) -> dict[str, float]:
    """Lead over a method in points, item by item, over the models."""
    lead = combine(leads([*ours.values()], [theirs[model] for model in ours]))
    return {"lead": lead.difference, "lead_stderr": lead.standard_error}


def _controls(results: Results, context: Context) -> set[str]:
    """Base methods that are controls."""
    names = results.cells.loc[results.cells["control"], "method"]
    return {context.points[name]["method"] for name in names}


def _best(rows: pd.DataFrame, scores: pd.Series, controls: set[str]) -> set[int]:
    """Index of the highest score of each sparsity and budget where several methods compete."""
    competing = ~rows["method"].isin({DENSE, *controls})
    places = scores[competing].groupby([rows[name] for name in _PLACE])
    best = (scores[competing] == places.transform("max")) & (places.transform("count") > 1)
    return set(best.index[best])


def _bold(text: str, is_best: bool) -> str:
    return f"**{text}**" if is_best else text


def _caption(results: Results, label: str) -> str:
    return (
        "Methods that learn a mask and methods that train weights at equal numbers of tokens, over "
        "all models. A token counts as often as it is seen, without the text behind masks that a "
        f"method starts from. {mean_accuracy(results).capitalize()} (higher is better), perplexity "
        f"(lower is better, geometric mean), and at the same sparsity and tokens {label}'s lead in "
        f"accuracy over the method, item by item, and the ratio of its perplexity to {label}'s. ± "
        "is a standard error over draws of items, which all models share, and of a lead also over "
        "training seeds where several were run. Best of several methods at a sparsity and number "
        "of tokens in bold, controls left out. Shipped: what someone with the dense checkpoint "
        "needs, a bit for each prunable weight and all numbers that were changed, in the "
        "checkpoint's dtype; mean over models. Trials: settings that were compared "
        f"on validation text to choose the method's. {SECONDS}"
    )
