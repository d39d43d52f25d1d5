"""Errors, threads and progress of a job."""

import errno
import logging
import os
import sys
import time
from collections.abc import Iterable, Iterator, Sized
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from leap_suite.jobs import log as lines
from leap_suite.jobs.fork_client import run_in_fork
from leap_suite.jobs.log import open_log, rare_bars
from leap_suite.places import PACKAGE, ROOT

logger = logging.getLogger("leap_suite")

_OWN_CODE = (ROOT / "leap", ROOT / "baselines", PACKAGE)
_DISK_FULL = (
    "the disk is full, or your quota on it (%s): free space for results/ and temporary files, and "
    "run again. Nothing half-written was kept."
)


@contextmanager
def job(log: str | Path) -> Iterator[None]:
    """Run the body with logging to the file `log` and to the terminal.

    Exits with 1 on an error: with a message alone for a ValueError of our own code and a full
    disk, with a traceback in the log for all others.
    """
    run_in_fork()
    rare_bars()
    open_log(Path(log))
    try:
        yield
    except Exception as error:
        if _disk_is_full(error):
            logger.error(_DISK_FULL, error)
        else:
            logger.error("%s: %s", type(error).__name__, error, exc_info=not _for_the_user(error))
        sys.exit(1)


def progress(items: Iterable[Any], title: str) -> Iterator[Any]:
    """Iterate, and log progress and the time left every 15 seconds."""
    total = len(items) if isinstance(items, Sized) else None
    start = last = time.monotonic()
    for done, item in enumerate(items):
        now = time.monotonic()
        if done and now - last > lines.SECONDS_BETWEEN_LINES:
            last = now
            rest = (now - start) / done * (total - done) if total else float("nan")
            logger.info("%s %d/%s, %.0f s left", title, done, total or "?", rest)
        yield item


def use_threads(threads: int) -> None:
    """Compute on this many CPU threads.

    Call it before torch is first imported; in a fork, which has imported it, torch is set itself.
    """
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ[name] = str(threads)
    os.environ["TOKENIZERS_PARALLELISM"] = "true" if threads > 1 else "false"
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(threads)


def causes(error: BaseException | None) -> Iterator[BaseException]:
    """An error and its chain of causes, which libraries wrap in many layers."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _disk_is_full(error: BaseException) -> bool:
    full = (errno.ENOSPC, errno.EDQUOT)
    return any(
        getattr(cause, "errno", None) in full or any(os.strerror(n) in str(cause) for n in full)
        for cause in causes(error)
    )


def _for_the_user(error: Exception) -> bool:
    """Whether it is a ValueError raised by our own code."""
    traceback = error.__traceback__
    while traceback and traceback.tb_next:
        traceback = traceback.tb_next
    file = Path(traceback.tb_frame.f_code.co_filename) if traceback else Path()
    return isinstance(error, ValueError) and any(root in file.parents for root in _OWN_CODE)
