"""Ending in good order when the machine wants the process to stop (SIGTERM)."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class Interrupted(SystemExit):
    """The process was asked to stop and has saved its state; exit status 143, as for SIGTERM."""

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
    """Within this context SIGTERM is noted and nothing else; other threads can't listen."""
    stop = Stop()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    before = signal.signal(signal.SIGTERM, stop.request)
    try:
        yield stop
    finally:
        signal.signal(signal.SIGTERM, before)
