"""Progress of a training: every step in the journal, a line in the log now and then."""

import logging
import time
from collections import deque

from leap_suite.jobs import log
from leap_suite.tracking.journal import Record
from leap_suite.tracking.runs import LAYER

logger = logging.getLogger("leap_suite")

# name of a metric in the log; "distance" is between weights and their sparse copy (ELSA)
_LOGGED = {"lm_loss": "LM loss", "density": "density", "primal_residual": "distance"}
_LAYER_POINTS = 50  # recorded densities per layer and training


class Watch:
    """Metrics of a training step by step; `record` is None in all processes but the first."""

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
        self.record({k: v for k, v in values.items() if layers or not k.startswith(LAYER)}, step)
        self._recent.append(values["seconds"])
        if time.monotonic() - self._last_line > log.SECONDS_BETWEEN_LINES:
            self._last_line = time.monotonic()
            state = ", ".join(f"{_LOGGED[k]} {values[k]:.3f}" for k in _LOGGED if k in values)
            left = sum(self._recent) / len(self._recent) * (self.steps - step - 1)
            logger.info("step %d/%d: %s, %.0f s left", step + 1, self.steps, state, left)
