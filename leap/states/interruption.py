"""Graceful termination on SIGTERM."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class Interrupted(SystemExit):
    """Exit after a saved state on SIGTERM, with status 143."""

    def __init__(self) -> None:
        super().__init__(128 + signal.SIGTERM)


class Stop:
    """Whether SIGTERM has arrived."""

    def __init__(self) -> None:
        self.requested = False

    def request(self, number: int, frame: FrameType | None) -> None:
        """The signal handler."""
        self.requested = True


@contextmanager
def listening() -> Iterator[Stop]:
    """Record SIGTERM instead of terminating; only in the main thread."""
    stop = Stop()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    before = signal.signal(signal.SIGTERM, stop.request)
    try:
        yield stop
    finally:
        signal.signal(signal.SIGTERM, before)
