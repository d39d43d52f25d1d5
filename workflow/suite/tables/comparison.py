"""Methods in the mean over the cells of a study: one row a method, and LEAP's lead over each.

A cell is a model at a sparsity; its seeds are averaged first. All cells of a model answer the same
items, so errors of means are clustered by item (see `suite.tables.paired`).
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import pandas as pd

from suite.artifacts.items import Items
from suite.plan.cell import LEAP, Cell
from suite.plan.methods import method_label
from suite.tables.evaluations import Evaluated
from suite.tables.generated import accuracy, bold_sentence
from suite.tables.main import write_frame, write_lines
from suite.tables.markdown import escaped, table
from suite.tables.mixed import lines_below
from suite.tables.numbers import number, perplexity
from suite.tables.paired import average, combine, compare
from suite.tables.places import Places, mean_over, places_of
from suite.tables.recovered import DEFINITION, recovered_shares
from suite.tables.seconds import EXPLAINED, Seconds, mean_seconds

ItemsOf = Mapping[Cell, Items]


_CAPTION = (
    "Every method in the mean over its cells, of which each is a model at a sparsity: the plain "
    "mean of the six tasks' zero-shot accuracies (higher is better) and perplexity (lower is "
    "better, geometric mean), and LEAP's lead in accuracy over the method, item by item. ± is a "
    f"standard error, over draws of items, which all cells of a task share. {DEFINITION} "
    f"{EXPLAINED}"
)


@dataclass(frozen=True)
class Row:
    """A method over its cells; fields are the columns of the CSV table.

    `average` (the mean accuracy), its standard error and `recovered_share` are in percent, LEAP's
    lead over the method and its standard error in points, over the cells that both have. `ppl` is
    the geometric mean. What there is not is NaN: a lead over LEAP itself or over a method that
    shares no cell with it, or seconds of the dense model.
    """

    method: str
    tasks: str
    cells: int
    average: float
    average_stderr: float
    ppl: float
    recovered_share: float
    leap_lead: float
    leap_lead_stderr: float
    wall_seconds: float
    cpu_seconds: float


def comparison_rows(
    results: Sequence[Evaluated], items: ItemsOf, seconds: Mapping[Cell, Seconds]
) -> list[Row]:
    """One row a method, in the order of `results`, of which each has its items.

    Raises ValueError where two checkpoints that are compared did not answer the same items.
    """
    shares = {r.cell: s for r, s in zip(results, recovered_shares(results), strict=True)}
    of_leap = places_of(results, LEAP)
    rows = []
    for method in dict.fromkeys(result.cell.method for result in results):
        places = places_of(results, method)
        error = combine([average(_items(seeds, items)) for seeds in places.values()]).standard_error
        lead, lead_error = _lead(of_leap, places, items) if method != LEAP else (math.nan, math.nan)
        cost = mean_seconds([r.cell for seeds in places.values() for r in seeds], seconds)
        rows.append(
            Row(
                method=method,
                tasks=results[0].tasks,
                cells=len(places),
                average=mean_over(places, lambda result: result.average),
                average_stderr=error,
                ppl=math.exp(mean_over(places, lambda result: math.log(result.perplexity))),
                recovered_share=mean_over(places, lambda result: shares[result.cell]),
                leap_lead=lead,
                leap_lead_stderr=lead_error,
                wall_seconds=cost.wall,
                cpu_seconds=cost.cpu,
            )
        )
    return rows


def write_comparison_csv(rows: Sequence[Row], path: Path) -> None:
    """Write one line a row; NaN is an empty field."""
    write_frame(pd.DataFrame(asdict(row) for row in rows), path)


def write_comparison_markdown(rows: Sequence[Row], path: Path, scale: str, mixed: str = "") -> None:
    """Write the rows as GitHub Markdown; `scale` is for its caption, `mixed` stands below it."""
    generated = rows[0].tasks == "generated"
    headings = ["Method", "Cells", f"{accuracy(generated)} (%)", "Perplexity", "Recovered (%)"]
    headings += ["LEAP's lead (points)", "Seconds", "CPU seconds"]
    lines = [f"{bold_sentence(generated)}Scale `{scale}`. {_CAPTION}", ""]
    lines += table(headings, map(_printed, rows), "lrrrrrrr")
    write_lines(path, [*lines, *lines_below(mixed)])


def _items(seeds: Sequence[Evaluated], items: ItemsOf) -> list[Items]:
    return [items[result.cell] for result in seeds]


def _lead(of_leap: Places, places: Places, items: ItemsOf) -> tuple[float, float]:
    """LEAP minus the method in the cells that both have, and its standard error."""
    both = [place for place in places if place in of_leap]
    if not both:
        return math.nan, math.nan
    parts = [compare(_items(of_leap[p], items), _items(places[p], items)) for p in both]
    whole = combine(parts)
    return whole.difference, whole.standard_error


def _printed(row: Row) -> list[str]:
    return [
        escaped(method_label(row.method)),
        str(row.cells),
        number(row.average, error=row.average_stderr),
        perplexity(row.ppl),
        number(row.recovered_share),
        number(row.leap_lead, 2, "+", row.leap_lead_stderr),
        number(row.wall_seconds, 1),
        number(row.cpu_seconds, 1),
    ]
