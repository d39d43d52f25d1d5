"""A model's accuracies as bars: a panel a task, a bar a method, by sparsity.

Here are the places of what is drawn, in units of the SVG; the template draws it.
"""

import math
import statistics
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from suite.plan.cell import DENSE, LEAP
from suite.plan.methods import method_label
from suite.report.page.table import TASK_HEADINGS
from suite.tables.evaluations import TASKS, Evaluated
from suite.tables.generated import any_generated, task_headings
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
    kind: str  # leap, control, or nothing
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
    """A task, or the average of all: its name, where its axis ends, and how a result has it, in
    percent."""

    title: str
    top: int
    value: Callable[[Evaluated], float]
    stderr: Callable[[Evaluated], float]
    chance: Callable[[Evaluated], float]


def panels_by_sparsity(results: Sequence[Evaluated]) -> dict[str, list[Panel]]:
    """The panels of one model, the average's first; seeds of a method are averaged.

    A task has one axis at all sparsities.
    """
    pruned = [result for result in results if result.cell.method != DENSE]
    dense = [result for result in results if result.cell.method == DENSE]
    labels = [method_label(result.cell.method) for result in pruned]
    origin = 12 + _LETTER * min(_LONGEST, max(map(len, labels), default=0))
    measures = _measures(results)
    found = {}
    for sparsity in sorted({result.cell.sparsity for result in pruned}, key=float):
        of_it = [result for result in pruned if result.cell.sparsity == sparsity]
        found[sparsity] = [_panel(each, sparsity, of_it, dense, origin) for each in measures]
    return found


def _measures(results: Sequence[Evaluated]) -> list[_Measure]:
    headings = task_headings(TASK_HEADINGS, any_generated(results))
    average = _Measure(
        "Average",
        _top(result.average for result in results),
        lambda result: result.average,
        lambda result: result.average_stderr,
        lambda result: result.chance_average,
    )
    of_tasks = [
        _task(title, task, _top(result.accuracy[task] for result in results))
        for title, task in zip(headings, TASKS, strict=True)
    ]
    return [average, *of_tasks]


def _task(title: str, task: str, top: int) -> _Measure:
    return _Measure(
        title,
        top,
        lambda result: result.accuracy[task],
        lambda result: result.stderr[task],
        lambda result: result.chance.get(task, math.nan),
    )


def _top(values: Iterable[float]) -> int:
    """Where an axis ends that has all values."""
    highest = max(values)
    return next(top for top in _TOPS if highest <= top)


def _panel(
    measure: _Measure,
    sparsity: str,
    pruned: Sequence[Evaluated],
    dense: Sequence[Evaluated],
    origin: float,
) -> Panel:
    methods = list(dict.fromkeys(result.cell.method for result in pruned))
    unit = (WIDTH - origin - _VALUE) / measure.top
    of_dense = measure.value(dense[0]) if dense else math.nan
    where = f"{measure.title} at {sparsity}"
    beside = "" if math.isnan(of_dense) else f", dense {number(of_dense)} %"
    bars = [
        _bar([r for r in pruned if r.cell.method == method], measure, unit, where, beside)
        for method in methods
    ]
    ticks = [(percent, f"{percent:g}") for percent in (0, measure.top / 2, measure.top)]
    return Panel(
        measure.title,
        f"{where}: accuracy in percent by method",
        round(origin, 1),
        [(round(percent * unit, 1), label) for percent, label in ticks],
        bars,
        _place(of_dense, unit),
        _place(measure.chance(pruned[0]), unit),
    )


def _bar(seeds: Sequence[Evaluated], measure: _Measure, unit: float, where: str, end: str) -> Bar:
    method = seeds[0].cell.method
    value = statistics.fmean(map(measure.value, seeds))
    # all seeds answer the same items, so more seeds do not make this error smaller
    stderr = statistics.fmean(map(measure.stderr, seeds))
    name = method_label(method)
    of_seeds = f", mean of {len(seeds)} seeds" if len(seeds) > 1 else ""
    return Bar(
        name if len(name) <= _LONGEST else f"{name[: _LONGEST - 1]}…",
        "leap" if method == LEAP else "control" if seeds[0].control else "",
        round(value * unit, 1),
        round((value - stderr) * unit, 1),
        round((value + stderr) * unit, 1),
        number(value, 1),
        f"{name}, {where}: {number(value, error=stderr)} %{of_seeds}{end}",
    )


def _place(percent: float, unit: float) -> float | None:
    return None if math.isnan(percent) else round(percent * unit, 1)
