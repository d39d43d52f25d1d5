"""A job's run: its journal, with the tags and parameters that every run of the suite has."""

import os
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from suite.plan.cell import Cell
from suite.tracking.journal import Journal, Mirror, Scalar

RESULTS = "results"
LIVE_VARIABLE = "LEAP_SUITE_LIVE_TRACKING"


def open_run(path: str, stage: str, run: str, cell: Cell, settings: Mapping[str, Any]) -> Journal:
    """The journal of one job of `stage` for `cell`; `settings` become its parameters.

    `run` is the name of the whole run. All jobs of a cell share the tag `group`. With
    LEAP_SUITE_LIVE_TRACKING=1 (set by the configuration's tracking.live) events are also sent to
    MLflow as they happen.
    """
    names = {"run": run, **asdict(cell)}
    group = "/".join(str(value) for value in names.values())
    tags = {"stage": stage, **{key: str(value) for key, value in names.items()}, "group": group}
    params = dict(flatten({**names, "stage": stage, "settings": settings}))
    return Journal(path, tags=tags, params=params, mirror=_mirror(run))


def flatten(values: Mapping[str, Any], prefix: str = "") -> list[tuple[str, Scalar]]:
    """Nested settings as dotted names and scalars; lists are written out as text."""
    flat: list[tuple[str, Scalar]] = []
    for key, value in values.items():
        if isinstance(value, Mapping):
            flat += flatten(value, f"{prefix}{key}.")
        else:
            scalar = value if isinstance(value, str | int | float | bool) else str(value)
            flat.append((f"{prefix}{key}", scalar))
    return flat


def _mirror(run: str) -> Mirror | None:
    if os.environ.get(LIVE_VARIABLE) != "1":
        return None
    from suite.tracking.live import LiveMirror
    from suite.tracking.store import default_uri, experiment_name

    return LiveMirror(default_uri(RESULTS), experiment_name(run))
