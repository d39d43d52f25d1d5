"""Progress bars out of the lines that stages log of their progress."""

import logging
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from tqdm import tqdm

from suite.jobs import log

_LINE = re.compile(r"(\w+) (\d+)/(\d+)[,:] (.*?),? ?\d+ s left")


class _Bars(logging.Handler):
    """One bar at a time; what is no progress is written above it."""

    bar: tqdm | None = None

    def emit(self, record: logging.LogRecord) -> None:
        line = _LINE.fullmatch(record.getMessage())
        if line is None:
            tqdm.write(f"leap-suite: {record.getMessage()}", file=sys.stderr)
            return
        title, done, total, more = line[1], int(line[2]), int(line[3]), line[4]
        if self.bar is None or self.bar.desc != title or done < self.bar.n:
            self.end()
            self.bar = tqdm(desc=title, total=total)
        self.bar.set_postfix_str(more, refresh=False)
        self.bar.update(done - self.bar.n)

    def end(self) -> None:
        """Fill the bar, of whose last item there is no line."""
        if self.bar is not None:
            self.bar.update(self.bar.total - self.bar.n)
            self.bar.close()


@contextmanager
def shown() -> Iterator[None]:
    """Show progress as bars in the terminal."""
    logger, bars, seconds = logging.getLogger("suite"), _Bars(), log.SECONDS_BETWEEN_LINES
    logger.setLevel(logging.INFO)
    logger.addHandler(bars)
    log.SECONDS_BETWEEN_LINES = 0.0
    try:
        yield
        bars.end()
    finally:
        logger.removeHandler(bars)
        log.SECONDS_BETWEEN_LINES = seconds
