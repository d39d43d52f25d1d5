"""A training as it is watched: every step in the journal, a bar on a terminal, lines in a log."""

import logging
import sys
import time
from collections import deque
from typing import Any

from suite.tracking.journal import Journal

logger = logging.getLogger("suite")

_SECONDS_BETWEEN_LINES = 15.0
# the last for weights that are led to a sparse copy of themselves
_SHOWN = {"lm_loss": "LM loss", "density": "density", "primal_residual": "distance"}
_LAYER_POINTS = 50  # how often each layer's density is recorded over a training


class Watch:
    """Takes the metrics of each step as they come; `journal` is None in all processes but one."""

    def __init__(self, steps: int, journal: Journal | None) -> None:
        self.steps = steps
        self.journal = journal
        self.seconds = 0.0
        self._recent: deque[float] = deque(maxlen=20)
        self._last_line = time.monotonic()
        self._bar = _bar(steps) if journal is not None and sys.stderr.isatty() else None

    def report(self, step: int, values: dict[str, float]) -> None:
        """Record one step (`leap.trainer.Report`)."""
        self.seconds += values["seconds"]
        if self.journal is None:
            return
        layers = step % max(1, self.steps // _LAYER_POINTS) == 0 or step == self.steps - 1
        chosen = {k: v for k, v in values.items() if layers or not k.startswith("density/")}
        self.journal.metrics(chosen, step)
        self._recent.append(values["seconds"])
        self._show(step, values)

    def _show(self, step: int, values: dict[str, float]) -> None:
        shown = [f"{name} {values[key]:.3f}" for key, name in _SHOWN.items() if key in values]
        state = ", ".join(shown)
        if self._bar is not None:
            self._bar.set_postfix_str(state, refresh=False)
            self._bar.update()
        now = time.monotonic()
        if self._bar is None and now - self._last_line > _SECONDS_BETWEEN_LINES:
            self._last_line = now
            left = sum(self._recent) / len(self._recent) * (self.steps - step - 1)
            logger.info("step %d/%d: %s, %.0f s left", step + 1, self.steps, state, left)
        if self._bar is not None and step == self.steps - 1:
            self._bar.close()


def _bar(steps: int) -> Any:
    from tqdm import tqdm

    return tqdm(total=steps, desc="steps", leave=False, dynamic_ncols=True)
