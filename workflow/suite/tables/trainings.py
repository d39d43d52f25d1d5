"""Metrics of a training by step, read from its journal."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from suite.tracking.journal import read_events


@dataclass(frozen=True)
class Training:
    """Steps of a training and its metrics by name."""

    model: str
    sparsity: str
    steps: Sequence[int]
    values: Mapping[str, Sequence[float]]


def read_training(journal: Path, names: Sequence[str]) -> Training:
    """Read these metrics. Raises ValueError if no step is recorded."""
    start, *events = read_events(journal)
    # steps repeated after an interruption replace the first
    steps = {
        event["step"]: event["values"]
        for event in events
        if event["event"] == "metrics" and "lm_loss" in event["values"]
    }
    if not steps:
        raise ValueError(f"{journal}: no step of a training is recorded")
    order = sorted(steps)
    values = {name: [float(steps[step][name]) for step in order] for name in names}
    return Training(start["tags"]["model"], start["tags"]["sparsity"], order, values)


def smooth(values: Sequence[float]) -> list[float]:
    """Trailing mean over a twentieth of the values."""
    size = twentieth(values)
    windows = [values[max(0, i - size + 1) : i + 1] for i in range(len(values))]
    return [sum(window) / len(window) for window in windows]


def twentieth(values: Sequence[float]) -> int:
    """A twentieth of their number, at least 1."""
    return max(1, len(values) // 20)
