"""Training curves of the subject: loss, density and schedules by step."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from suite.figures.panels import add_legend, distinct, label_log_axis, new_figure, title_panels
from suite.figures.style import Look, outlined, shades
from suite.tables.told import Told
from suite.tables.trainings import Training, read_training, smooth, twentieth

_VALUES = ("lm_loss", "density", "alpha", "tau")
_MARKERS = 5  # on a line


def training(journals: Sequence[Path], told: Told) -> Figure:
    """LM loss and mean soft mask by step: one column of panels per model, one line per sparsity.

    The loss is that of each step's sampled soft masks, smoothed over a twentieth of the steps;
    values of the first twentieth above all later ones are cut off. The last column has the distinct
    schedules of alpha and tau.
    """
    trainings = [read_training(path, _VALUES) for path in journals]
    models = distinct([each.model for each in trainings])
    looks = shades(sorted({each.sparsity for each in trainings}, key=float))
    columns = len(models) + 1
    figure = new_figure(3.6)
    panels = figure.subplots(2, columns, sharex=True)
    for column, model in enumerate(models):
        for axes, first in zip(panels[:, column], panels[:, 0], strict=True):
            axes.sharey(first)
            axes.tick_params(labelleft=column == 0)
        for training in (each for each in trainings if each.model == model):
            _draw_training(*panels[:, column], training, looks[training.sparsity])
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


def _draw_training(loss: Axes, kept: Axes, training: Training, look: Look) -> None:
    marks = {**outlined(look), "markevery": max(1, len(training.steps) // _MARKERS)}
    loss.plot(training.steps, smooth(training.values["lm_loss"]), **marks)
    kept.plot(training.steps, [100 * value for value in training.values["density"]], **marks)


def _scale_loss(axes: Axes, trainings: Sequence[Training]) -> None:
    """Log scale from the lowest loss to the highest after the first twentieth of the steps."""
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
    """Distinct schedules as steps and values."""
    return dict.fromkeys((tuple(each.steps), tuple(each.values[name])) for each in trainings)
