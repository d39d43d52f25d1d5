"""A training as it is watched: every step in the journal, and a line now and then."""

import logging
import time
from collections import deque

from suite.jobs import log
from suite.tracking.journal import Record
from suite.tracking.runs import LAYER

logger = logging.getLogger("suite")

# the last for weights that are led to a sparse copy of themselves
_SHOWN = {"lm_loss": "LM loss", "density": "density", "primal_residual": "distance"}
_LAYER_POINTS = 50  # how often each layer's density is recorded over a training


class Watch:
    """Takes the metrics of each step as they come; `record` is None in all processes but one."""

    def __init__(self, steps: int, record: Record | None) -> None:
        self.steps = steps
        self.record = record
        self.seconds = 0.0
        self._recent: deque[float] = deque(maxlen=20)
        self._last_line = time.monotonic()

    def report(self, step: int, values: dict[str, float]) -> None:
        """Record one step (`leap.training.trainer.Report`)."""
        self.seconds += values["seconds"]
        if self.record is None:
            return
        layers = step % max(1, self.steps // _LAYER_POINTS) == 0 or step == self.steps - 1
        kept = {k: v for k, v in values.items() if layers or not k.startswith(LAYER)}
        self.record(kept, step)
        self._recent.append(values["seconds"])
        self._show(step, values)

    def _show(self, step: int, values: dict[str, float]) -> None:
        now = time.monotonic()
        if now - self._last_line <= log.SECONDS_BETWEEN_LINES:
            return
        self._last_line = now
        shown = [f"{name} {values[key]:.3f}" for key, name in _SHOWN.items() if key in values]
        left = sum(self._recent) / len(self._recent) * (self.steps - step - 1)
        state = ", ".join(shown)
        logger.info("step %d/%d: %s, %.0f s left", step + 1, self.steps, state, left)
