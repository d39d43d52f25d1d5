"""Live curve of a training in MLflow."""

import logging
import queue
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from leap_suite.tracking.runs import Point, begin, log, parameters
from leap_suite.tracking.store import connect, first_line, store_uri

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient

logger = logging.getLogger(__name__)

_PAUSE_SECONDS = 2.0
_PAUSE_SECONDS_AFTER_FAILURE = 60.0
_CLOSE_SECONDS = 10.0


@contextmanager
def live_curve(
    tags: Mapping[str, str], settings: Mapping[str, Any]
) -> Iterator[Callable[[Sequence[Point]], None]]:
    """Yield a function that queues points for the cell's MLflow run; a thread sends them.

    The training never waits for the store, except at its end for at most `_CLOSE_SECONDS`. The
    rule `tracking` sends what did not arrive.
    """
    waiting: queue.SimpleQueue[Sequence[Point]] = queue.SimpleQueue()
    ended, status, began = threading.Event(), "FAILED", time.time_ns() // 1_000_000
    params = parameters(settings)

    def send() -> None:
        ours: tuple[MlflowClient, str] | None = None
        unsent: list[Point] = []
        pause, is_last = 0.0, False
        while not is_last:
            is_last = ended.wait(pause)
            for _ in range(waiting.qsize()):
                unsent += waiting.get()
            try:
                if ours is None:
                    client, experiment = connect(store_uri(), tags["run"])
                    ours = client, begin(client, experiment, tags, {}, began)
                log(*ours, unsent, params)
                if is_last:
                    ours[0].set_terminated(ours[1], status)
                unsent, pause = [], _PAUSE_SECONDS
            except Exception as error:
                logger.warning("live tracking: %s", first_line(error))
                pause = _PAUSE_SECONDS_AFTER_FAILURE

    # A daemon, so that a thread blocked by the store cannot keep the process alive.
    thread = threading.Thread(target=send, daemon=True)
    thread.start()
    try:
        yield waiting.put
        status = "FINISHED"
    finally:
        ended.set()
        thread.join(_CLOSE_SECONDS)
        if thread.is_alive():
            logger.warning("live tracking is behind; the rule `tracking` completes it")
