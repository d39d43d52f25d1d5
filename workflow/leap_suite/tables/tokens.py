"""Quality against tokens seen: one row per model, method and amount of text."""

from collections.abc import Mapping

import pandas as pd

from leap_suite.plan.cell import DENSE
from leap_suite.plan.methods import method_label
from leap_suite.results.frame import Results, written
from leap_suite.results.statistics import means
from leap_suite.tables.caption import accuracy, mean_accuracy
from leap_suite.tables.context import Context
from leap_suite.tables.entries import NONE, escaped, number, perplexity
from leap_suite.tables.text import SECONDS, SECONDS_COLUMNS, Columns, captioned

_MEASURES = ["average", "average_stderr", "ppl", "ppl_stderr", "wall_seconds", "cpu_seconds"]
_DENSE = {"method": DENSE, "amount": "", "tokens": 0}


def tokens(results: Results, context: Context) -> Mapping[str, str]:
    """Table of accuracy, perplexity and seconds by tokens seen, as CSV and Markdown."""
    caption = (
        "Quality against the number of tokens that a method is shown, a token counted as often as "
        "it is seen, without the text behind masks that it starts from: layer-wise methods as they "
        "are and calibrated on the first sequences of the training corpus, and learned ones "
        f"trained for so many steps. {mean_accuracy(results).capitalize()} (higher is better) and "
        f"perplexity (lower is better), ± one standard error. Seeds are averaged. {SECONDS}"
    )
    rows = token_rows(results, context)
    several = rows.loc[rows["method"] != DENSE, "sparsity"].nunique() > 1
    columns: Columns = {
        **({"Sparsity": lambda row: row.sparsity} if several else {}),
        "Method": lambda row: escaped(method_label(row.method)),
        "Shown": lambda row: row.amount or NONE,
        "Tokens": lambda row: f"{row.tokens:,}" if row.tokens else NONE,
        f"{accuracy(results.generated)} (%)": lambda row: number(
            row.average, error=row.average_stderr
        ),
        "Perplexity": lambda row: perplexity(row.ppl, 3, error=row.ppl_stderr),
        **SECONDS_COLUMNS,
    }
    return captioned(results, context, rows, caption, columns, "l" * several + "llrrrrr")


def token_rows(results: Results, context: Context) -> pd.DataFrame:
    """One row per model, sparsity and point, dense first, in the order of `context.points`.

    `method` is the base method, `amount` its text in words ("" for dense) and `tokens` in numbers.
    `average`, the mean accuracy, and its standard error are in percent.
    """
    found = means(results.cells, _MEASURES).reset_index()
    seeds = results.cells.groupby(["model", "sparsity", "method"], sort=False).size()
    points = pd.DataFrame([context.points.get(method, _DENSE) for method in found["method"]])
    order = {name: place for place, name in enumerate([DENSE, *context.points])}
    found["place"] = found["method"].map(order)
    found["model"] = pd.Categorical(found["model"], results.models)
    rows = found.assign(
        **{name: points[name] for name in _DENSE},
        sparsity=found["sparsity"].map(written),
        seeds=seeds.to_numpy(),
        tasks=results.task_kind,
    ).sort_values(["model", "sparsity", "place"], ignore_index=True)
    return rows[["model", *_DENSE, "sparsity", "seeds", "tasks", *_MEASURES]].astype({"model": str})
