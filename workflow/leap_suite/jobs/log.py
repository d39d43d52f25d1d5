"""Logging of a job, to its log and to the terminal.

Lines in the terminal begin with the job's name. Output of libraries goes to the log only; their
progress bars become a line every 15 seconds, in both.
"""

import io
import logging
import os
import re
import sys
from pathlib import Path
from typing import TextIO

logger = logging.getLogger("leap_suite")

SECONDS_BETWEEN_LINES = 15.0
_CLOCK = "%H:%M:%S"
_BAR = re.compile(r"(\d+)%\|")


def open_log(log: Path) -> None:
    """Log to the emptied file `log` and to the terminal, and redirect stdout and stderr to it."""
    log.parent.mkdir(parents=True, exist_ok=True)
    log.write_text("")
    to_file = logging.FileHandler(log, mode="a")
    to_file.setFormatter(
        logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s", _CLOCK)
    )
    to_terminal = logging.StreamHandler(sys.stderr)
    to_terminal.setLevel(logging.INFO)
    named = f"%(asctime)s %(urgency)s{job_name(log)}: %(message)s"
    to_terminal.setFormatter(logging.Formatter(named, _CLOCK))
    to_terminal.addFilter(_with_urgency)
    root = logging.getLogger()
    root.setLevel(logging.WARNING)
    logger.setLevel(logging.DEBUG)
    for handler in (to_file, to_terminal):
        root.addHandler(handler)
    # a second file, since logging closes its own before the streams are flushed for the last time
    sys.stdout = sys.stderr = _Written(log.open("a", buffering=1))


def job_name(log: Path) -> str:
    """Name of a job by its log: `train mini-llama-3.2-1b leap 0.6`."""
    parts = log.with_suffix("").parts if log.suffix == ".log" else log.parts
    below = parts[len(parts) - parts[::-1].index("logs") :] if "logs" in parts else parts[-1:]
    return " ".join(below)


def rare_bars() -> None:
    """Draw progress bars every 15 seconds (call it before tqdm is first imported)."""
    os.environ.setdefault("TQDM_MININTERVAL", str(SECONDS_BETWEEN_LINES))


def _with_urgency(record: logging.LogRecord) -> bool:
    """Add the level of warnings and errors as `urgency`."""
    record.urgency = f"{record.levelname} " if record.levelno >= logging.WARNING else ""
    return True


class _Written(io.TextIOBase):
    """A stream to a job's log that turns unfinished progress bars into lines."""

    def __init__(self, log: TextIO) -> None:
        self._log = log
        self._after_bar = False

    def write(self, text: str) -> int:
        """Write text; log a bar that is neither at 0 nor at 100 %."""
        bar = _BAR.search(text) if "\r" in text else None
        if bar:
            if 0 < int(bar[1]) < 100:
                logger.info(text.strip())
        elif not (self._after_bar and text == "\n"):
            self._log.write(text)
        self._after_bar = bar is not None
        return len(text)

    def flush(self) -> None:
        self._log.flush()

    def fileno(self) -> int:
        """Descriptor of the log, for processes that a library starts."""
        return self._log.fileno()
