"""The curve of a training in MLflow while it runs, for those that someone watches."""

import logging
import queue
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from suite.tracking.runs import Point, log, parameters, runs_of
from suite.tracking.store import connect, first_line, store_uri

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient

logger = logging.getLogger(__name__)

_PAUSE_SECONDS = 2.0
_PAUSE_SECONDS_AFTER_FAILURE = 60.0
_CLOSE_SECONDS = 10.0


@contextmanager
def following(
    tags: Mapping[str, str], settings: Mapping[str, Any]
) -> Iterator[Callable[[Sequence[Point]], None]]:
    """What takes the points of each step, for a thread that sends them to the run with these tags.

    Whatever goes wrong with the store, the training does not notice: it waits at its end only, and
    then for some seconds. What did not arrive by then is left to the rule `tracking`.
    """
    waiting: queue.SimpleQueue[Sequence[Point]] = queue.SimpleQueue()
    ended, status = threading.Event(), "FAILED"
    began = time.time_ns() // 1_000_000

    def work() -> None:
        ours: tuple[MlflowClient, str] | None = None
        unsent: list[Point] = []
        pause, is_last = 0.0, False
        while not is_last:
            is_last = ended.wait(pause)
            for _ in range(waiting.qsize()):
                unsent += waiting.get()
            try:
                ours = ours or _begin(tags, settings, began)
                log(*ours, unsent, {})
                if is_last:
                    ours[0].set_terminated(ours[1], status)
                unsent, pause = [], _PAUSE_SECONDS
            except Exception as error:
                logger.warning("live tracking: %s", first_line(error))
                pause = _PAUSE_SECONDS_AFTER_FAILURE

    # A daemon, so that one stuck in the store cannot keep the process alive.
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    try:
        yield waiting.put
        status = "FINISHED"
    finally:
        ended.set()
        thread.join(_CLOSE_SECONDS)
        if thread.is_alive():
            logger.warning("live tracking is behind; the rule `tracking` completes it")


def _begin(
    tags: Mapping[str, str], settings: Mapping[str, Any], began: int
) -> "tuple[MlflowClient, str]":
    """The cell's run, made anew: one that is there is of a result that is now made again."""
    client, experiment = connect(store_uri(), tags["run"])
    for earlier in runs_of(client, experiment, tags):
        client.delete_run(earlier.info.run_id)
    run_id = client.create_run(experiment, began, {**tags}).info.run_id
    log(client, run_id, [], parameters(settings))
    return client, run_id
