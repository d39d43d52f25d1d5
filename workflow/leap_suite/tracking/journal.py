"""Journal of a training: its curve as JSON lines, for figures, pages and MLflow.

The journal is a plain file, so that no server or database can slow down or fail a training.
One event per line:

    {"event": "start", "run": <32 hex digits, new at each execution>, "tags": {}}
    {"event": "metrics", "time": <milliseconds since 1970, UTC>, "step": <n>, "values": {}}

Non-finite values are the strings "nan", "inf" and "-inf", since JSON has none.
"""

import json
import math
import os
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

from leap_suite.plan.cell import Cell
from leap_suite.tracking.live import live_curve
from leap_suite.tracking.runs import Point, tags_of

# Records the values of a step.
Record = Callable[[Mapping[str, float], int], None]


@contextmanager
def open_journal(path: str, run: str, cell: Cell, settings: Mapping[str, Any]) -> Iterator[Record]:
    """Yield a function that writes steps of a cell's training to its journal.

    Every line is flushed, so that a killed training leaves all its steps. With
    LEAP_SUITE_LIVE_TRACKING=1 (the setting tracking.live) the curve also goes to MLflow.
    """
    execution, tags = uuid.uuid4().hex, tags_of(run, cell)
    is_live = os.environ.get("LEAP_SUITE_LIVE_TRACKING") == "1"
    live = live_curve({**tags, "training": execution}, settings) if is_live else nullcontext()
    with open(path, "w", encoding="utf-8") as file, live as send:

        def write(event: Mapping[str, Any]) -> None:
            file.write(json.dumps(event, allow_nan=False) + "\n")
            file.flush()

        def record(values: Mapping[str, float], step: int) -> None:
            now = time.time_ns() // 1_000_000
            encoded = {n: v if math.isfinite(v) else str(v) for n, v in values.items()}
            event = {"event": "metrics", "time": now, "step": step, "values": encoded}
            write(event)
            if send is not None:
                send(_points(event))

        write({"event": "start", "run": execution, "tags": tags})
        yield record


def read_events(path: Path) -> list[dict[str, Any]]:
    """Events of a journal, its start first."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def read_journal(path: Path) -> tuple[str, list[Point]]:
    """Id of the training that wrote a journal, and its curve. Raises ValueError if damaged."""
    try:
        start, *events = read_events(path)
        return str(start["run"]), [point for event in events for point in _points(event)]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{path} is damaged ({error}): delete it and run again") from None


def _points(event: Mapping[str, Any]) -> list[Point]:
    values = event.get("values", {}).items()
    return [Point(n, float(v), event["time"], event["step"]) for n, v in values]
