"""The journal of one job: settings, metrics and artifacts as JSON lines, in a file of its own.

A job writes its journal and nothing else, so no tracking server, database or other job can slow or
fail it. ``suite.tracking`` carries journals to MLflow afterwards. One event a line:

    {"event": "start", "run": <32 hex digits>, "origin": <16 hex digits>, "time": <ms>,
     "tags": {}, "params": {}}
    {"event": "metrics", "time": <ms>, "step": <n>, "values": {}}
    {"event": "artifact", "path": <relative to the journal's folder>}
    {"event": "end", "time": <ms>, "status": "FINISHED" or "FAILED"}

Times are milliseconds since 1970 (UTC). NaN and infinities are the strings "NaN", "Infinity" and
"-Infinity", because bare ones are not JSON.
"""

import hashlib
import json
import logging
import math
import os
import posixpath
import re
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Protocol, Self

logger = logging.getLogger(__name__)

Scalar = str | int | float | bool | None
Event = dict[str, Any]

_FIELDS: dict[str, dict[str, type]] = {
    "start": {"run": str, "origin": str, "time": int, "tags": dict, "params": dict},
    "metrics": {"time": int, "step": int, "values": dict},
    "artifact": {"path": str},
    "end": {"time": int, "status": str},
}
_NON_FINITE: dict[Any, float] = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}
# MLflow refuses other names; they are refused here, where the name is written, and not at upload.
_NAME = re.compile(r"[\w\-./: ]{1,250}", re.ASCII)


class Mirror(Protocol):
    """Something that wants a journal's events as they happen (see ``suite.tracking.live``)."""

    def send(self, event: Event) -> None:
        """Take one event; must return at once."""

    def close(self) -> None:
        """No more events follow; must return within a bounded time."""


@dataclass(frozen=True)
class Point:
    """One value of one metric; ``time`` in milliseconds since 1970."""

    name: str
    value: float
    time: int
    step: int


@dataclass(frozen=True)
class Start:
    """The first line of a journal; ``time`` in milliseconds since 1970.

    ``run`` is new at each execution of the job; ``origin`` stands for the journal's path, and so is
    the same for all executions of one job.
    """

    run: str
    origin: str
    time: int
    tags: dict[str, str]
    params: dict[str, Scalar]


@dataclass(frozen=True)
class Record:
    """What a journal says.

    ``status`` is None if the job was killed before it could write its end, or is still at work;
    ``end_time``, in milliseconds since 1970, is then that of its last event. ``torn``: the last
    line was cut short and is left out.
    """

    start: Start
    end_time: int
    status: str | None
    points: tuple[Point, ...]
    artifacts: tuple[Path, ...]
    torn: bool


class Journal:
    """Writes the journal of one execution of one job; use as a context manager.

    ``tags`` say which job it is (stage, model, method, sparsity, seed), and give the run its name.
    ``params`` are its settings, one scalar a name. Every line is flushed, so a killed job leaves
    all it wrote. Each execution has a new random run id, which no result depends on. Leaving the
    context writes the end: FINISHED, or FAILED on an exception.

    Raises ValueError or TypeError for names or values that MLflow could not take.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        tags: Mapping[str, str],
        params: Mapping[str, Scalar],
        mirror: Mirror | None = None,
    ) -> None:
        self.path = Path(path)
        self._mirror = mirror
        self._artifact_names: set[str] = set()
        self._tags = {_checked_name(name): str(value) for name, value in tags.items()}
        self._params = {_checked_name(name): _param(name, value) for name, value in params.items()}
        self._file: IO[str] | None = None

    def __enter__(self) -> Self:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._file = self.path.open("w", encoding="ascii")
        self._write(
            {
                "event": "start",
                "run": uuid.uuid4().hex,
                "origin": _origin(self.path),
                "time": _now(),
                "tags": self._tags,
                "params": self._params,
            }
        )
        return self

    def metrics(self, values: Mapping[str, Any], step: int = 0) -> None:
        """Write values of metrics at one step; anything ``float()`` takes, NaN and inf included."""
        encoded = {_checked_name(name): _encoded(float(value)) for name, value in values.items()}
        self._write({"event": "metrics", "time": _now(), "step": step, "values": encoded})

    def artifact(self, path: str | os.PathLike[str]) -> None:
        """Name a finished file that belongs to the run.

        Raises FileNotFoundError if it is not there, ValueError if the run has one of that name.
        """
        artifact = Path(path)
        if not artifact.is_file():
            raise FileNotFoundError(f"artifact {artifact} is not a file")
        if artifact.name in self._artifact_names:
            raise ValueError(f"{self.path} already has an artifact named {artifact.name}")
        self._artifact_names.add(artifact.name)
        # Relative, so that a results folder can be moved.
        relative = os.path.relpath(artifact.absolute(), self.path.parent.absolute())
        self._write({"event": "artifact", "path": relative})

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        status = "FINISHED" if kind is None else "FAILED"
        self._write({"event": "end", "time": _now(), "status": status})
        assert self._file is not None
        self._file.close()
        if self._mirror is not None:
            self._tell(self._mirror.close)

    def _write(self, event: Event) -> None:
        if self._file is None:
            raise RuntimeError("a Journal is written inside its `with` block")
        self._file.write(json.dumps(event, allow_nan=False) + "\n")
        self._file.flush()
        if self._mirror is not None:
            self._tell(self._mirror.send, event)

    def _tell(self, call: Any, *arguments: Event) -> None:
        """Call the mirror; one that fails is dropped, since the journal has everything."""
        try:
            call(*arguments)
        except Exception as error:
            self._mirror = None
            logger.warning("live tracking stopped, %s is complete: %r", self.path, error)


def read_journal(path: str | os.PathLike[str]) -> Record:
    """Parse a journal strictly.

    A last line that a killed job left unfinished is left out, logged, and told by ``torn``.
    Raises ValueError, naming file and line, for anything else that ``Journal`` does not write.
    """
    path = Path(path)
    lines = path.read_bytes().split(b"\n")
    unfinished = lines.pop()  # empty, unless the last line lacks its newline
    events = [_parsed(line, f"{path}:{number}") for number, line in enumerate(lines, start=1)]
    torn = False
    if unfinished:
        try:
            events.append(_parsed(unfinished, f"{path}:{len(lines) + 1}"))
        except ValueError:
            torn = True
            logger.warning("%s:%d is cut short and left out", path, len(lines) + 1)
    _check_order(events, path)
    return _record(events, path, torn)


def start_of(event: Event) -> Start:
    """The typed form of a start event."""
    return Start(**{field: event[field] for field in _FIELDS["start"]})


def points_of(event: Event) -> list[Point]:
    """The metric points of one event as ``Journal`` writes it, none unless it holds metrics."""
    return [
        Point(name, float(_NON_FINITE.get(value, value)), event["time"], event["step"])
        for name, value in event.get("values", {}).items()
    ]


def _now() -> int:
    return time.time_ns() // 1_000_000


def _origin(path: Path) -> str:
    # A hash, because the path itself would tell the machine's folders to whoever reads the store.
    return hashlib.sha256(os.fsencode(path.absolute())).hexdigest()[:16]


def _checked_name(name: str) -> str:
    well_formed = isinstance(name, str) and _NAME.fullmatch(name) is not None
    if not well_formed or posixpath.normpath(name) != name or name.startswith(("/", ".")):
        raise ValueError(
            f"{name!r} cannot name a tag, parameter or metric: use 1 to 250 letters, digits, "
            "spaces and _-./: as in a relative path"
        )
    if name.startswith(("mlflow.", "journal.")):
        raise ValueError(f"{name!r}: names that start with mlflow. or journal. are reserved")
    return name


def _encoded(value: float) -> float | str:
    if math.isfinite(value):
        return value
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


def _param(name: str, value: Scalar) -> Scalar:
    if isinstance(value, float):
        return _encoded(value)
    if value is None or isinstance(value, str | int):
        return value
    raise TypeError(f"parameter {name}: {type(value).__name__} is not a string, number or None")


def _parsed(line: bytes, where: str) -> Event:
    try:
        event: Event = json.loads(line)
    except ValueError as error:
        raise ValueError(f"{where}: not a line of JSON: {error}") from None
    if not isinstance(event, dict) or event.get("event") not in list(_FIELDS):
        raise ValueError(f"{where}: no event of a journal")
    fields = _FIELDS[event["event"]]
    if event.keys() != fields.keys() | {"event"}:
        raise ValueError(f"{where}: {event['event']} must have exactly {', '.join(fields)}")
    for field, kind in fields.items():
        if type(event[field]) is not kind:
            raise ValueError(f"{where}: {field} must be of type {kind.__name__}")
    for name, value in event.get("values", {}).items():
        if type(value) is not float and value not in list(_NON_FINITE):
            raise ValueError(f"{where}: {name} must be a float, NaN, Infinity or -Infinity")
    if event["event"] == "end" and event["status"] not in ("FINISHED", "FAILED"):
        raise ValueError(f"{where}: status must be FINISHED or FAILED")
    return event


def _check_order(events: list[Event], path: Path) -> None:
    if not events:
        raise ValueError(f"{path}:1: no complete line; its job was killed as it began")
    for number, event in enumerate(events, start=1):
        if (event["event"] == "start") != (number == 1):
            raise ValueError(f"{path}:{number}: a journal has one start, in its first line")
        if event["event"] == "end" and number != len(events):
            raise ValueError(f"{path}:{number}: lines follow the end")


def _record(events: list[Event], path: Path, torn: bool) -> Record:
    last = events[-1]
    return Record(
        start=start_of(events[0]),
        end_time=max(event["time"] for event in events if "time" in event),
        status=last["status"] if last["event"] == "end" else None,
        points=tuple(point for event in events for point in points_of(event)),
        artifacts=tuple(path.parent / event["path"] for event in events if "path" in event),
        torn=torn,
    )
