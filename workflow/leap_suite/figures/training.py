"""Training curves of the subject: loss, density and schedules by step."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from leap_suite.figures.panels import add_legend, distinct, label_log_axis, new_figure, title_panels
from leap_suite.figures.style import outlined, shades
from leap_suite.tables.context import Context
from leap_suite.tracking.journal import read_events

_METRICS = ["lm_loss", "density", "alpha", "tau"]
_MARKERS = 5  # on a line


@dataclass(frozen=True)
class _Training:
    """Metrics of a training by step; `loss` is smoothed over `window`, a twentieth of the steps."""

    model: str
    sparsity: str
    metrics: pd.DataFrame
    window: int
    loss: pd.Series


def training(journals: Sequence[Path], context: Context) -> Figure:
    """LM loss and mean soft mask by step: one column of panels per model, one line per sparsity.

    The loss is that of each step's sampled soft masks, smoothed over a twentieth of the steps;
    values of the first twentieth above all later ones are cut off. The last column has the distinct
    schedules of alpha and tau. Raises ValueError if a journal has no step.
    """
    trainings = [_read(path) for path in journals]
    models = distinct([each.model for each in trainings])
    looks = shades(sorted({each.sparsity for each in trainings}, key=float))
    columns = len(models) + 1
    figure = new_figure(3.6)
    panels = figure.subplots(2, columns, sharex=True)
    for column, model in enumerate(models):
        for axes, first in zip(panels[:, column], panels[:, 0], strict=True):
            axes.sharey(first)
            axes.tick_params(labelleft=column == 0)
        loss, kept = panels[:, column]
        for each in (each for each in trainings if each.model == model):
            every = max(1, len(each.metrics) // _MARKERS)
            marks = {**outlined(looks[each.sparsity]), "markevery": every}
            loss.plot(each.loss, **marks)
            kept.plot(100 * each.metrics["density"], **marks)
    title_panels(panels[0, :-1], models, letters=14)
    _scale_loss(panels[0, 0], trainings)
    _draw_schedules(panels[:, -1], trainings)
    panels[0, 0].set_ylabel("LM loss\n(log scale)")
    panels[1, 0].set_ylabel("Mean of the\nsoft masks (%)")
    panels[0, 0].xaxis.set_major_locator(MaxNLocator(2 if columns > 3 else 4))
    figure.supxlabel("Step")
    figure.align_ylabels(panels[:, 0])
    figure.align_ylabels(panels[:, -1])
    add_legend(figure, {f"sparsity {name}": outlined(look) for name, look in looks.items()})
    return figure


def _read(journal: Path) -> _Training:
    start, *events = read_events(journal)
    # steps repeated after an interruption replace the first
    steps = {
        event["step"]: event["values"]
        for event in events
        if event["event"] == "metrics" and "lm_loss" in event["values"]
    }
    if not steps:
        raise ValueError(f"{journal}: no step of a training is recorded")
    metrics = pd.DataFrame.from_dict(steps, orient="index")[_METRICS].astype(float).sort_index()
    window = max(1, len(metrics) // 20)
    loss = metrics["lm_loss"].rolling(window, min_periods=1).mean()
    return _Training(start["tags"]["model"], start["tags"]["sparsity"], metrics, window, loss)


def _scale_loss(axes: Axes, trainings: Sequence[_Training]) -> None:
    """Log scale from the lowest loss to the highest after the first twentieth of the steps."""
    low = min(each.loss.min() for each in trainings)
    high = max(each.loss.iloc[each.window :].max() for each in trainings)
    margin = (high / low) ** 0.05
    axes.set_yscale("log")
    axes.set_ylim(low / margin, high * margin)
    label_log_axis(axes.yaxis)


def _draw_schedules(panels: Sequence[Axes], trainings: Sequence[_Training]) -> None:
    """Draw the distinct schedules."""
    alpha, tau = panels
    alpha.set_title("schedule")
    for axes, name in ((alpha, "alpha"), (tau, "tau")):
        schedules = dict.fromkeys(tuple(each.metrics[name].items()) for each in trainings)
        for schedule in schedules:
            axes.plot(*zip(*schedule, strict=True), color="black")
    alpha.set_ylabel("α, scale\nof the logits")
    tau.set_ylabel("τ, temperature\n(log scale)")
    tau.set_yscale("log")
    label_log_axis(tau.yaxis)
