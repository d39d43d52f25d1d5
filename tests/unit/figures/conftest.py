"""Figures of invented numbers."""

import json
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure
from matplotlib.text import Text

from leap_suite.figures.style import style
from leap_suite.tables.context import Context

FIGURES = (
    *("ablations", "agreement", "budget", "cost", "density", "gain"),
    *("patterns", "quality", "shipped", "sweep", "tokens", "training"),
)


def drawn(name: str, context: Context = Context("test"), **inputs: Any) -> Figure:  # noqa: B008
    """The figure of this name, laid out."""
    with style():
        figure: Figure = getattr(import_module(f"leap_suite.figures.{name}"), name)(
            **inputs, context=context
        )
        figure.draw_without_rendering()
    return figure


def texts(figure: Figure) -> list[str]:
    """All texts, line by line."""
    return "\n".join(text.get_text() for text in figure.findobj(Text)).splitlines()


def journal(
    path: Path,
    steps: Sequence[int] = range(9),
    model: str = "a",
    sparsity: str = "0.5",
    alpha: float = 25,
) -> Path:
    """Journal of a training whose alpha starts at this value."""
    lines = [{"event": "start", "tags": {"model": model, "sparsity": sparsity}}]
    for step in steps:
        fall = 5 / (1 + step)
        values = {"lm_loss": fall, "density": 0.5, "alpha": alpha + step, "tau": fall}
        lines.append({"event": "metrics", "step": step, "values": values})
    path.write_text("\n".join(map(json.dumps, lines)) + "\n")
    return path
