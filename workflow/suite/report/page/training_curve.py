"""How the subject's trainings of a model went: loss and density by step, from the jobs' journals.

Here are the places of what is drawn, in units of the SVG; the template draws it.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from suite.tables.numbers import number
from suite.tables.trainings import Training, smooth

SHOWN = ("lm_loss", "density")
WIDTH, HEIGHT = 360, 200
LEFT, RIGHT, TOP, BOTTOM = 40, 8, 8, 22  # around the curves
_POINTS = 40  # of a curve, at most


@dataclass(frozen=True)
class Point:
    """A point of a curve, and what is said of it."""

    x: float
    y: float
    tip: str


@dataclass(frozen=True)
class Curve:
    """One training's curve, and in words where it begins and ends."""

    sparsity: str
    points: Sequence[Point]
    ends: str


@dataclass(frozen=True)
class Chart:
    """The curves of one value; ticks are places with their labels."""

    title: str
    curves: Sequence[Curve]
    x_ticks: Sequence[tuple[float, str]]
    y_ticks: Sequence[tuple[float, str]]


def charts(trainings: Sequence[Training]) -> list[Chart]:
    """Loss and density by step, a curve a training; none without trainings."""
    if not trainings:
        return []
    ordered = sorted(trainings, key=lambda training: float(training.sparsity))
    loss = [smooth(training.values["lm_loss"]) for training in ordered]
    kept = [[100 * value for value in smooth(each.values["density"])] for each in ordered]
    return [
        _chart("Loss of the language model, by step", ordered, loss, ""),
        _chart("Weights kept by the soft masks, by step", ordered, kept, " %"),
    ]


def _chart(
    title: str, trainings: Sequence[Training], curves: Sequence[Sequence[float]], unit: str
) -> Chart:
    steps = [step for training in trainings for step in training.steps]
    values = [value for curve in curves for value in curve]
    x = _Axis(min(steps), max(steps), LEFT, WIDTH - RIGHT)
    y = _Axis(min(values), max(values), HEIGHT - BOTTOM, TOP)
    drawn = [
        _curve(training, curve, unit, x, y)
        for training, curve in zip(trainings, curves, strict=True)
    ]
    return Chart(title, drawn, x.ticks(), y.ticks())


def _curve(training: Training, values: Sequence[float], unit: str, x: "_Axis", y: "_Axis") -> Curve:
    points = [
        Point(
            x.place(training.steps[i]),
            y.place(values[i]),
            f"Sparsity {training.sparsity}, step {training.steps[i]}: {number(values[i])}{unit}",
        )
        for i in _spread(len(values))
    ]
    ends = f"{training.sparsity}: {number(values[0])} to {number(values[-1])}{unit}"
    return Curve(training.sparsity, points, ends)


def _spread(count: int) -> list[int]:
    """Which of `count` values are drawn: the first, the last, and evenly between."""
    drawn = min(count, _POINTS)
    return [round(i * (count - 1) / max(1, drawn - 1)) for i in range(drawn)]


@dataclass(frozen=True)
class _Axis:
    """From values to places: `low` is at `start`, `high` at `end`."""

    low: float
    high: float
    start: float
    end: float

    def place(self, value: float) -> float:
        span = (self.high - self.low) or 1
        return round(self.start + (self.end - self.start) * (value - self.low) / span, 1)

    def ticks(self) -> list[tuple[float, str]]:
        """At round numbers, at most six of them."""
        rough = ((self.high - self.low) or 1) / 5
        decade = math.floor(math.log10(rough))
        step = next(10.0**decade * each for each in (1, 2, 5, 10) if 10.0**decade * each >= rough)
        first, last = math.ceil(self.low / step), math.floor(self.high / step)
        decimals = max(0, -math.floor(math.log10(step) + 1e-9))
        return [(self.place(i * step), number(i * step, decimals)) for i in range(first, last + 1)]
