"""How LEAP's trainings of a model went: loss and density by step, from the jobs' journals.

Here are the places of what is drawn, in units of the SVG; the template draws it.
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from suite.tables.numbers import number

WIDTH, HEIGHT = 360, 200
LEFT, RIGHT, TOP, BOTTOM = 40, 8, 8, 22  # around the curves
_POINTS = 40  # of a curve, at most


@dataclass(frozen=True)
class Training:
    """One training: its steps, and its values by name, averaged over a fiftieth of the steps."""

    model: str
    sparsity: str
    steps: Sequence[int]
    values: Mapping[str, Sequence[float]]


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


def read_training(journal: Path) -> Training:
    """A training by its job's journal. Raises ValueError where no step is recorded."""
    with journal.open(encoding="utf-8") as lines:
        events = [json.loads(line) for line in lines]
    tags = next(event["tags"] for event in events if event["event"] == "start")
    # a step that was repeated after an interruption is there again
    steps = {
        event["step"]: event["values"]
        for event in events
        if event["event"] == "metrics" and "lm_loss" in event["values"]
    }
    if not steps:
        raise ValueError(f"{journal}: no step of a training is recorded")
    order = sorted(steps)
    loss = [float(steps[step]["lm_loss"]) for step in order]
    density = [100 * float(steps[step]["density"]) for step in order]
    values = {"loss": _smooth(loss), "density": _smooth(density)}
    return Training(tags["model"], tags["sparsity"], order, values)


def charts(trainings: Sequence[Training]) -> list[Chart]:
    """Loss and density by step, a curve a training; none without trainings."""
    if not trainings:
        return []
    ordered = sorted(trainings, key=lambda training: float(training.sparsity))
    return [
        _chart("Loss of the language model, by step", "loss", "", ordered),
        _chart("Weights kept by the soft masks, by step", "density", " %", ordered),
    ]


def _smooth(values: Sequence[float]) -> list[float]:
    width = max(1, len(values) // 50)
    windows = [values[max(0, i - width + 1) : i + 1] for i in range(len(values))]
    return [sum(window) / len(window) for window in windows]


def _chart(title: str, name: str, unit: str, trainings: Sequence[Training]) -> Chart:
    steps = [step for training in trainings for step in training.steps]
    values = [value for training in trainings for value in training.values[name]]
    x = _Axis(min(steps), max(steps), LEFT, WIDTH - RIGHT)
    y = _Axis(min(values), max(values), HEIGHT - BOTTOM, TOP)
    curves = [_curve(training, name, unit, x, y) for training in trainings]
    return Chart(title, curves, x.ticks(), y.ticks())


def _curve(training: Training, name: str, unit: str, x: "_Axis", y: "_Axis") -> Curve:
    values = training.values[name]
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
