"""How LEAP's trainings went: loss, density and schedules by step, from the jobs' journals."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from suite.figures.style import (
    PAGE_INCHES,
    add_legend,
    distinct,
    label_log_axis,
    model_looks,
    save,
    style,
)

_SHOWN = ("lm_loss", "density", "alpha", "tau")
_DASHES = ("-", (0, (4, 1.5)), (0, (1, 1.2)), (0, (4, 1.2, 1, 1.2)))


@dataclass(frozen=True)
class _Training:
    """One training: its values by name, and the steps that they belong to."""

    model: str
    sparsity: str
    steps: Sequence[int]
    values: Mapping[str, Sequence[float]]


def training(journals: Sequence[Path], outputs: list[Path], note: str) -> None:
    """Draw language-modelling loss, density, alpha and tau against the step, a line a training.

    The loss is that of the soft, random masks of each step, as it was trained on; averaged over
    a fiftieth of the steps, since a batch is small.
    """
    trainings = [_read(path) for path in journals]
    with style():
        save(_draw(trainings), outputs, note)


def _read(path: Path) -> _Training:
    events = [json.loads(line) for line in path.read_text().splitlines()]
    tags = next(event["tags"] for event in events if event["event"] == "start")
    # a step that was repeated after an interruption is there again
    steps = {
        event["step"]: event["values"]
        for event in events
        if event["event"] == "metrics" and "lm_loss" in event["values"]
    }
    if not steps:
        raise ValueError(f"{path}: no step of a training is recorded")
    order = sorted(steps)
    values = {name: [float(steps[step][name]) for step in order] for name in _SHOWN}
    return _Training(tags["model"], tags["sparsity"], order, values)


def _smooth(values: Sequence[float]) -> list[float]:
    width = max(1, len(values) // 50)
    return [
        sum(values[max(0, i - width + 1) : i + 1]) / len(values[max(0, i - width + 1) : i + 1])
        for i in range(len(values))
    ]


def _draw(trainings: Sequence[_Training]) -> Figure:
    looks = model_looks(distinct([t.model for t in trainings]))
    sparsities = distinct([t.sparsity for t in trainings])
    dashes = {s: _DASHES[i % len(_DASHES)] for i, s in enumerate(sparsities)}
    figure = Figure(figsize=(PAGE_INCHES, 4.2), layout="constrained")
    panels = figure.subplots(2, 2, sharex=True)
    (loss, kept), (alpha, tau) = panels
    for t in trainings:
        look = {"color": looks[t.model].colour, "linestyle": dashes[t.sparsity]}
        loss.plot(t.steps, _smooth(t.values["lm_loss"]), **look)
        kept.plot(t.steps, [100 * value for value in _smooth(t.values["density"])], **look)
        alpha.plot(t.steps, t.values["alpha"], **look)
        tau.plot(t.steps, t.values["tau"], **look)
    _label(loss, "LM loss (log scale)", log=True)
    _label(kept, "Mean of the soft masks (%)")
    _label(alpha, "α, scale of the logits")
    _label(tau, "τ, temperature (log scale)", log=True)
    figure.supxlabel("Step", fontsize=8)
    handles = [Line2D([], [], color=look.colour, label=name) for name, look in looks.items()]
    handles += [
        Line2D([], [], color="black", ls=d, label=f"sparsity {s}") for s, d in dashes.items()
    ]
    add_legend(figure, handles)
    return figure


def _label(axes: Axes, label: str, log: bool = False) -> None:
    axes.set_ylabel(label)
    if log:
        axes.set_yscale("log")
        label_log_axis(axes.yaxis)
