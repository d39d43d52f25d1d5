"""Quality against the number of tokens seen: one row a model, method and amount of text."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import pandas as pd

from suite.plan.cell import DENSE, Cell
from suite.plan.methods import method_label
from suite.tables.evaluations import Evaluated
from suite.tables.generated import accuracy, bold_sentence
from suite.tables.main import write_frame, write_lines
from suite.tables.markdown import escaped, table
from suite.tables.mixed import lines_below
from suite.tables.numbers import NONE, number, perplexity
from suite.tables.seconds import EXPLAINED, Seconds, mean_seconds

_CAPTION = (
    "Quality against the number of tokens that a method is shown, a token counted as often as it "
    "is seen, without the text behind masks that it starts from: layer-wise methods as they are "
    "and calibrated on the first sequences of the training corpus, and learned ones trained for "
    "so many steps. The plain mean of the six tasks' zero-shot accuracies (higher is better) and "
    f"perplexity (lower is better), ± one standard error. Seeds are averaged. {EXPLAINED}"
)
_DENSE = {"method": DENSE, "amount": "", "tokens": 0}


@dataclass(frozen=True)
class Row:
    """A method that has seen so much text; fields are the columns of the CSV table.

    `method` is the one that is varied, `amount` how much it is shown in words ("" for dense) and
    `tokens` in numbers. `average`, the mean accuracy, and its standard error are in percent;
    `seeds` is a count.
    """

    model: str
    method: str
    amount: str
    tokens: int
    sparsity: str
    seeds: int
    tasks: str
    average: float
    average_stderr: float
    ppl: float
    ppl_stderr: float
    wall_seconds: float
    cpu_seconds: float


def token_rows(
    results: Sequence[Evaluated],
    points: Mapping[str, Mapping[str, Any]],
    seconds: Mapping[Cell, Seconds],
) -> list[Row]:
    """One row a model and point, dense first: models as they come, points as in `points`.

    `points` are what `suite.plan.tokens.points` says of the methods of `results`, by name.
    """
    models = list(dict.fromkeys(result.cell.model for result in results))
    order = [DENSE, *points]

    def place(result: Evaluated) -> tuple[int, int]:
        return models.index(result.cell.model), order.index(result.cell.method)

    return [
        _row(list(seeds), points, seconds)
        for _, seeds in groupby(sorted(results, key=place), key=place)
    ]


def write_token_csv(rows: Sequence[Row], path: Path) -> None:
    """Write one line a row, in the order given; NaN is an empty field."""
    write_frame(pd.DataFrame(asdict(row) for row in rows), path)


def write_token_markdown(rows: Sequence[Row], path: Path, scale: str, mixed: str = "") -> None:
    """Write the rows as GitHub Markdown, one block a model; `scale` is for its caption.

    `mixed` stands below the table.
    """
    generated = rows[0].tasks == "generated"
    headings = ["Method", "Shown", "Tokens", f"{accuracy(generated)} (%)", "Perplexity"]
    headings += ["Seconds", "CPU seconds"]
    lines = [f"{bold_sentence(generated)}Scale `{scale}`. {_CAPTION}"]
    for model, block in groupby(rows, key=lambda row: row.model):
        lines += ["", f"### {escaped(model)}", ""]
        lines += table(headings, map(_printed, block), "llrrrrr")
    write_lines(path, [*lines, *lines_below(mixed)])


def _row(
    seeds: Sequence[Evaluated],
    points: Mapping[str, Mapping[str, Any]],
    seconds: Mapping[Cell, Seconds],
) -> Row:
    first = seeds[0]
    cost = mean_seconds([result.cell for result in seeds], seconds)
    return Row(
        model=first.cell.model,
        **points.get(first.cell.method, _DENSE),
        sparsity=first.cell.sparsity,
        seeds=len(seeds),
        tasks=first.tasks,
        average=statistics.fmean(result.average for result in seeds),
        # all seeds answer the same items and texts, so more seeds do not make errors smaller
        average_stderr=statistics.fmean(result.average_stderr for result in seeds),
        ppl=statistics.fmean(result.perplexity for result in seeds),
        ppl_stderr=statistics.fmean(result.perplexity_stderr for result in seeds),
        wall_seconds=cost.wall,
        cpu_seconds=cost.cpu,
    )


def _printed(row: Row) -> list[str]:
    return [
        escaped(method_label(row.method)),
        row.amount or NONE,
        f"{row.tokens:,}" if row.tokens else NONE,
        number(row.average, error=row.average_stderr),
        perplexity(row.ppl, 3, error=row.ppl_stderr),
        number(row.wall_seconds, 1),
        number(row.cpu_seconds, 1),
    ]
