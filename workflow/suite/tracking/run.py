"""A job's run: its journal, with the tags and parameters that every run of the suite has."""

import os
from collections.abc import Mapping
from typing import Any

from suite.tracking.journal import Journal, Mirror, Scalar

RESULTS = "results"
LIVE_VARIABLE = "LEAP_SUITE_LIVE_TRACKING"


def open_run(
    path: str, stage: str, cell: Mapping[str, Any], settings: Mapping[str, Any]
) -> Journal:
    """The journal of one job of `stage` for `cell`; `settings` become its parameters.

    All jobs of a cell share the tag `group`. With LEAP_SUITE_LIVE_TRACKING=1 (set by the
    configuration's tracking.live) events are also sent to MLflow as they happen.
    """
    group = "/".join(str(cell[key]) for key in ("scale", "model", "method", "sparsity", "seed"))
    tags = {"stage": stage, **{key: str(value) for key, value in cell.items()}, "group": group}
    params = dict(flatten({**cell, "stage": stage, "settings": settings}))
    return Journal(path, tags=tags, params=params, mirror=_mirror(str(cell["scale"])))


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


def _mirror(scale: str) -> Mirror | None:
    if os.environ.get(LIVE_VARIABLE) != "1":
        return None
    from suite.tracking.live import LiveMirror
    from suite.tracking.store import default_uri, experiment_name

    return LiveMirror(default_uri(RESULTS), experiment_name(scale))
