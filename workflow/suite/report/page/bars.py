"""A model's accuracies as bars: a panel a task, a bar a method, by sparsity.

Here are the places of what is drawn, in units of the SVG; the template draws it.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from suite.plan.methods import method_label
from suite.results.frame import Results, is_pruned, written
from suite.tables.numbers import number

WIDTH = 260
ROW = 16  # height of a bar with its space
_LETTER = 6.4  # width of a letter, about
_LONGEST = 20  # letters of a label
_VALUE = 40  # width of the numbers right of the bars
_TOPS = (20, 40, 60, 80, 100)  # percent, where an axis may end


@dataclass(frozen=True)
class Bar:
    """A method's bar from 0, its standard error from `low` to `high`, and its number."""

    label: str
    kind: str  # subject, control, or nothing
    length: float
    low: float
    high: float
    value: str
    tip: str


@dataclass(frozen=True)
class Panel:
    """The bars of one task at one sparsity; 0 is at `origin`, and all places count from there.

    `dense` and `chance` are where the dense model and guessing are; None where that is not known.
    """

    title: str
    label: str
    origin: float
    ticks: Sequence[tuple[float, str]]
    bars: Sequence[Bar]
    dense: float | None
    chance: float | None

    @property
    def height(self) -> int:
        """Of the bars, without the axis."""
        return ROW * len(self.bars)


@dataclass(frozen=True)
class _Measure:
    """A task, or the average of all: its column, its title, where its axis ends, and chance."""

    name: str
    title: str
    top: int
    chance: float


def panels_by_sparsity(results: Results, model: str, subject: str) -> dict[str, list[Panel]]:
    """The panels of one model, the average's first; seeds of a method are averaged.

    A task has one axis at all sparsities. What is no share of correct items has no bars.
    """
    cells = results.cells[results.cells["model"] == model]
    pruned, dense = cells[is_pruned(cells)], cells[~is_pruned(cells)]
    labels = [method_label(method) for method in pruned["method"]]
    origin = 12 + _LETTER * min(_LONGEST, max(map(len, labels), default=0))
    measures = _measures(results, cells)
    return {
        written(sparsity): [_panel(each, of_it, dense, subject, origin) for each in measures]
        for sparsity, of_it in pruned.groupby("sparsity")
    }


def _measures(results: Results, cells: pd.DataFrame) -> list[_Measure]:
    named = [("average", "Average"), *((t.name, t.title) for t in results.tasks if t.share)]
    return [
        _Measure(
            name,
            title,
            next(top for top in _TOPS if cells[name].max() <= top),
            results.chance.get(name, math.nan),
        )
        for name, title in named
    ]


def _panel(
    measure: _Measure, pruned: pd.DataFrame, dense: pd.DataFrame, subject: str, origin: float
) -> Panel:
    unit = (WIDTH - origin - _VALUE) / measure.top
    of_dense = float(dense[measure.name].iloc[0]) if len(dense) else math.nan
    where = f"{measure.title} at {written(pruned['sparsity'].iloc[0])}"
    beside = "" if math.isnan(of_dense) else f", dense {number(of_dense)} %"
    bars = [
        _bar(seeds, measure, unit, where, beside, subject)
        for _, seeds in pruned.groupby("method", sort=False)
    ]
    ticks = [(percent, f"{percent:g}") for percent in (0, measure.top / 2, measure.top)]
    return Panel(
        measure.title,
        f"{where}: accuracy in percent by method",
        round(origin, 1),
        [(round(percent * unit, 1), label) for percent, label in ticks],
        bars,
        _place(of_dense, unit),
        _place(measure.chance, unit),
    )


def _bar(
    seeds: pd.DataFrame, measure: _Measure, unit: float, where: str, end: str, subject: str
) -> Bar:
    method = str(seeds["method"].iloc[0])
    # all seeds answer the same items, so more seeds do not make the error smaller
    value, stderr = (seeds[name].mean() for name in (measure.name, f"{measure.name}_stderr"))
    reach = 0.0 if math.isnan(stderr) else stderr
    name = method_label(method)
    of_seeds = f", mean of {len(seeds)} seeds" if len(seeds) > 1 else ""
    return Bar(
        name if len(name) <= _LONGEST else f"{name[: _LONGEST - 1]}…",
        "subject" if method == subject else "control" if seeds["control"].any() else "",
        round(value * unit, 1),
        round((value - reach) * unit, 1),
        round((value + reach) * unit, 1),
        number(value, 1),
        f"{name}, {where}: {number(value, error=stderr)} %{of_seeds}{end}",
    )


def _place(percent: float, unit: float) -> float | None:
    return None if math.isnan(percent) else round(percent * unit, 1)
