"""A journal's events in MLflow while its job is at work, for long jobs that someone watches."""

import logging
import queue
import threading
from typing import TYPE_CHECKING

from suite.tracking.journal import Event, points_of, start_of
from suite.tracking.store import checked_uri, connect, first_line
from suite.tracking.upload import find_experiment, open_run, send_params, send_points

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient

logger = logging.getLogger(__name__)

_QUEUE_EVENTS = 10_000
_PAUSE_SECONDS = 2.0
_PAUSE_SECONDS_AFTER_FAILURE = 60.0


class LiveMirror:
    """Sends a journal's events to MLflow while the job works, from a thread of its own.

    Whatever goes wrong with the store, the job does not notice: events that find the queue full,
    or the store closed to the end, are left to ``upload_all``, after which MLflow holds each once.
    ``close`` waits ``close_seconds`` at most for what is queued.

    Raises ValueError for an address that is neither SQLite file nor http(s).
    """

    def __init__(self, uri: str, experiment: str, close_seconds: float = 10.0) -> None:
        self._uri = checked_uri(uri)
        self._experiment = experiment
        self._close_seconds = close_seconds
        self._client: MlflowClient | None = None
        self._run_id = ""
        self._queue: queue.Queue[Event] = queue.Queue(_QUEUE_EVENTS)
        self._behind = False
        self._closing = threading.Event()
        # A daemon, so that one stuck in the store cannot keep the process alive.
        self._thread = threading.Thread(target=self._work, name="live-tracking", daemon=True)
        self._thread.start()

    def send(self, event: Event) -> None:
        """Queue one event; never waits."""
        try:
            self._queue.put_nowait(event)
        except queue.Full:
            self._behind = True

    def close(self) -> None:
        """Send what is queued, within ``close_seconds``."""
        self._closing.set()
        self._thread.join(self._close_seconds)
        if self._thread.is_alive() or self._behind:
            logger.warning("live tracking is behind; the upload after the job completes it")

    def _work(self) -> None:
        """Send batches until closed and empty; after a failure, the same batch again, later."""
        batch: list[Event] = []
        while True:
            last = self._closing.is_set()
            batch = batch or [self._queue.get_nowait() for _ in range(self._queue.qsize())]
            try:
                self._deliver(batch)
            except Exception as error:
                if last:
                    self._behind = True
                    return
                logger.warning("live tracking: %s; trying again", first_line(error))
                self._closing.wait(_PAUSE_SECONDS_AFTER_FAILURE)
            else:
                if last and self._queue.empty():
                    return
                batch = []
                self._closing.wait(_PAUSE_SECONDS)

    def _deliver(self, events: list[Event]) -> None:
        """Send events; doing so twice does no harm."""
        if not events:
            return
        if self._client is None:
            self._client = connect(self._uri)
        if events[0]["event"] == "start":
            start = start_of(events[0])
            experiment_id = find_experiment(self._client, self._uri, self._experiment)
            self._run_id = open_run(self._client, experiment_id, start).info.run_id
            send_params(self._client, self._run_id, start.params)
        points = [point for event in events for point in points_of(event)]
        send_points(self._client, self._run_id, points)
        if events[-1]["event"] == "end":
            self._client.set_terminated(self._run_id, events[-1]["status"], events[-1]["time"])
