"""Step down to a slower computation that needs less GPU memory, on an out-of-memory error."""

import gc
import logging
import os
import sys
from collections.abc import Callable, Sequence
from typing import TypeVar

Way = TypeVar("Way")
Result = TypeVar("Result")

OUT_OF_MEMORY = 75  # exit status of a process that asks for a restart with the next way
TRIED_VARIABLE = "LEAP_SUITE_WAYS_TRIED"

logger = logging.getLogger("suite")


def first_that_fits(ways: Sequence[Way], attempt: Callable[[Way], Result]) -> Result:
    """Result of `attempt` with the first of the ways that runs in the memory of the GPU.

    An attempt that runs out of memory must leave nothing behind but a state to resume from. One of
    several processes cannot tell the others, which wait for it: it exits, and the launcher
    restarts all of them with the next way (see `suite.jobs.processes`). Raises ValueError where no
    way fits.
    """
    import torch

    for number in range(int(os.environ.get(TRIED_VARIABLE, "0")), len(ways)):
        try:
            return attempt(ways[number])
        except torch.OutOfMemoryError as error:
            logger.warning("out of GPU memory with %s: %s", ways[number], error)
        if "WORLD_SIZE" in os.environ and number + 1 < len(ways):
            sys.exit(OUT_OF_MEMORY)
        gc.collect()  # the error's traceback held the attempt's tensors
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats()
    raise ValueError(
        f"the training does not fit into GPU memory, not even with {ways[-1]}: give it more GPUs "
        "(resources.train.gpu), larger ones or shorter sequences (corpora.training.length)"
    )
