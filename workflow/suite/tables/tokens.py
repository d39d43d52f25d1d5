"""Quality against the number of tokens seen: one row a model, method and amount of text."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from suite.plan.cell import DENSE
from suite.plan.methods import method_label
from suite.results.frame import Results, written
from suite.results.statistics import means
from suite.tables.caption import mean_accuracy
from suite.tables.generated import accuracy, bold_sentence
from suite.tables.markdown import escaped, table
from suite.tables.numbers import NONE, number, perplexity
from suite.tables.text import SECONDS, csv_text, lines_text, mixed_lines
from suite.tables.told import Told

_MEASURES = ["average", "average_stderr", "ppl", "ppl_stderr", "wall_seconds", "cpu_seconds"]
_DENSE = {"method": DENSE, "amount": "", "tokens": 0}


def tokens(results: Results, told: Told) -> Mapping[str, str]:
    """The rows as CSV and Markdown."""
    rows = token_rows(results, told)
    return {"csv": csv_text(rows), "md": lines_text(_markdown(results, rows, told))}


def token_rows(results: Results, told: Told) -> pd.DataFrame:
    """One row a model and point, dense first: models as they come, points as in `told.points`.

    `method` is the one that is varied, `amount` how much it is shown in words ("" for dense) and
    `tokens` in numbers. `average`, the mean accuracy, and its standard error are in percent.
    """
    found = means(results.cells, _MEASURES)
    seeds = results.cells.groupby(["model", "sparsity", "method"], sort=False).size()
    order = {name: place for place, name in enumerate([DENSE, *told.points])}
    rows = []
    for (model, sparsity, method), values in found.iterrows():
        point = told.points.get(method, _DENSE)
        names = {"sparsity": written(sparsity), "seeds": seeds[model, sparsity, method]}
        tasks = "generated" if results.generated else "real"
        place = (results.models.index(model), order[method])
        rows.append({"model": model, **point, **names, "tasks": tasks, **values, "place": place})
    frame = pd.DataFrame(rows).sort_values("place", ignore_index=True).drop(columns="place")
    return frame.reindex(columns=["model", *_DENSE, "sparsity", "seeds", "tasks", *_MEASURES])


def _markdown(results: Results, rows: pd.DataFrame, told: Told) -> list[str]:
    caption = (
        "Quality against the number of tokens that a method is shown, a token counted as often as "
        "it is seen, without the text behind masks that it starts from: layer-wise methods as they "
        "are and calibrated on the first sequences of the training corpus, and learned ones "
        f"trained for so many steps. {mean_accuracy(results).capitalize()} (higher is better) and "
        f"perplexity (lower is better), ± one standard error. Seeds are averaged. {SECONDS}"
    )
    headings = ["Method", "Shown", "Tokens", f"{accuracy(results.generated)} (%)", "Perplexity",
                "Seconds", "CPU seconds"]  # fmt: skip
    lines = [f"{bold_sentence(results.generated)}Scale `{told.scale}`. {caption}"]
    for model, block in rows.groupby("model", sort=False):
        lines += ["", f"### {escaped(str(model))}", ""]
        lines += table(headings, map(_printed, block.itertuples()), "llrrrrr")
    return [*lines, *mixed_lines(results)]


def _printed(row: Any) -> list[str]:
    return [
        escaped(method_label(row.method)),
        row.amount or NONE,
        f"{row.tokens:,}" if row.tokens else NONE,
        number(row.average, error=row.average_stderr),
        perplexity(row.ppl, 3, error=row.ppl_stderr),
        number(row.wall_seconds, 1),
        number(row.cpu_seconds, 1),
    ]
