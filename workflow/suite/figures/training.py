"""How the subject's trainings went: loss, density and schedules by step."""

import textwrap
from collections.abc import Iterable, Sequence
from pathlib import Path

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from suite.figures.style import (
    Look,
    add_legend,
    distinct,
    label_log_axis,
    outlined,
    save,
    shades,
    style,
    width,
)
from suite.tables.told import Told
from suite.tables.trainings import Training, read_training, smooth, twentieth

_SHOWN = ("lm_loss", "density", "alpha", "tau")
_MARKERS = 5  # on a line


def training(journals: Sequence[Path], told: Told, outputs: list[Path]) -> None:
    """Draw LM loss and mean of the soft masks by step, a panel a model and a line a sparsity.

    The loss is that of the soft, random masks of each step, as it was trained on, averaged over
    a twentieth of the steps, since a batch is small; what the first twentieth has above all later
    ones is cut off. Beside them are the schedules of alpha and tau, each that differs once,
    whichever trainings had it.
    """
    trainings = [read_training(path, _SHOWN) for path in journals]
    with style():
        save(_draw(trainings), outputs, told.note)


def _draw(trainings: Sequence[Training]) -> Figure:
    models = distinct([each.model for each in trainings])
    looks = shades(sorted({each.sparsity for each in trainings}, key=float))
    columns = len(models) + 1
    figure = Figure(figsize=(width("training", columns), 3.6), layout="constrained")
    panels = figure.subplots(2, columns, sharex=True)
    for column, model in enumerate(models):
        loss, kept = panels[:, column]
        loss.set_title(model if columns < 4 else textwrap.fill(model, 14))
        for axes, first in ((loss, panels[0, 0]), (kept, panels[1, 0])):
            axes.sharey(first)
            axes.tick_params(labelleft=column == 0)
        for training in (each for each in trainings if each.model == model):
            _draw_training(loss, kept, training, looks[training.sparsity])
    _scale_loss(panels[0, 0], trainings)
    _draw_schedules(panels[:, -1], trainings)
    panels[0, 0].set_ylabel("LM loss\n(log scale)")
    panels[1, 0].set_ylabel("Mean of the\nsoft masks (%)")
    panels[0, 0].xaxis.set_major_locator(MaxNLocator(2 if columns > 3 else 4))
    figure.supxlabel("Step", fontsize=mpl.rcParams["axes.labelsize"])
    figure.align_ylabels(panels[:, 0])
    figure.align_ylabels(panels[:, -1])
    handles = [
        Line2D([], [], label=f"sparsity {name}", **outlined(look)) for name, look in looks.items()
    ]
    add_legend(figure, handles)
    return figure


def _draw_training(loss: Axes, kept: Axes, training: Training, look: Look) -> None:
    marks = {**outlined(look), "markevery": max(1, len(training.steps) // _MARKERS)}
    loss.plot(training.steps, smooth(training.values["lm_loss"]), **marks)
    kept.plot(training.steps, [100 * value for value in training.values["density"]], **marks)


def _scale_loss(axes: Axes, trainings: Sequence[Training]) -> None:
    """From the lowest loss to the highest after the first twentieth of the steps."""
    losses = [smooth(each.values["lm_loss"]) for each in trainings]
    low = min(min(of_training) for of_training in losses)
    high = max(max(of_training[twentieth(of_training) :]) for of_training in losses)
    margin = (high / low) ** 0.05
    axes.set_yscale("log")
    axes.set_ylim(low / margin, high * margin)
    label_log_axis(axes.yaxis)


def _draw_schedules(panels: Sequence[Axes], trainings: Sequence[Training]) -> None:
    alpha, tau = panels
    alpha.set_title("schedule")
    for axes, name in ((alpha, "alpha"), (tau, "tau")):
        for steps, values in _schedules(trainings, name):
            axes.plot(steps, values, color="black")
    alpha.set_ylabel("α, scale\nof the logits")
    tau.set_ylabel("τ, temperature\n(log scale)")
    tau.set_yscale("log")
    label_log_axis(tau.yaxis)


def _schedules(
    trainings: Sequence[Training], name: str
) -> Iterable[tuple[Sequence[int], Sequence[float]]]:
    """Each that differs from all before it."""
    return dict.fromkeys((tuple(each.steps), tuple(each.values[name])) for each in trainings)
