"""Step down to an execution with less GPU memory on an out-of-memory error."""

import gc
import json
import logging
import os
import sys
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

Execution = TypeVar("Execution")
Result = TypeVar("Result")

OUT_OF_MEMORY = 75  # exit status of a process that asks for a restart with the next execution
TRIED_VARIABLE = "LEAP_SUITE_EXECUTIONS_TRIED"

logger = logging.getLogger("leap_suite")


def first_that_fits(
    executions: Sequence[Execution], attempt: Callable[[Execution], Result]
) -> Result:
    """Result of `attempt` with the first execution that fits into GPU memory.

    An attempt that runs out of memory must leave nothing behind but a state to resume from. One of
    several processes cannot tell the others, which wait for it: it exits, and the launcher
    restarts all of them with the next execution (see `leap_suite.jobs.processes`). Raises
    ValueError where none fits.
    """
    import torch

    for number in range(int(os.environ.get(TRIED_VARIABLE, "0")), len(executions)):
        try:
            return attempt(executions[number])
        except torch.OutOfMemoryError as error:
            logger.warning("out of GPU memory with %s: %s", _written(executions[number]), error)
        if "WORLD_SIZE" in os.environ and number + 1 < len(executions):
            sys.exit(OUT_OF_MEMORY)
        gc.collect()  # the error's traceback held the attempt's tensors
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats()
    raise ValueError(
        f"the training does not fit into GPU memory, not even with {_written(executions[-1])}: "
        "give it more GPUs (resources.train.gpu), larger ones or shorter sequences "
        "(corpora.training.length)"
    )


def _written(execution: Any) -> str:
    """An execution as settings write it."""
    return json.dumps(execution, default=vars)
