"""Facts about the run at the head of the page: machine, versions, time and commit."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from leap_suite.report.overview import duration
from leap_suite.results.frame import Results

_NAMED = 3  # different values at most
_UNKNOWN = ("", "unknown")


def facts(results: Results, manifests: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Names and texts of the facts that the results and the `manifests` of checkpoints record."""
    cells, made = results.cells, manifests.values()
    pruned_on = [device_of(manifest) for manifest in made]
    lines = {
        "Machine": [
            several([*cells["device"], *pruned_on]),
            several(manifest.get("platform", "") for manifest in made),
        ],
        "Computed in": [several(cells["dtype"])],
        "Versions": [several(cells["versions"])],
        "Pruning and training": [_duration(cells)],
        "Commit": [several(short_commit(commit) for commit in cells["commit"])],
    }
    for name, texts in lines.items():
        if text := ", ".join(filter(None, texts)):
            yield name, text


def several(values: Iterable[str]) -> str:
    """The different known values, the first few by name."""
    found = list(dict.fromkeys(value for value in values if value not in _UNKNOWN))
    more = f" and {len(found) - _NAMED} more" if len(found) > _NAMED else ""
    return "; ".join(found[:_NAMED]) + more


def short_commit(commit: str) -> str:
    """Its first seven digits, with "-dirty" for local changes."""
    digits, dirty, _ = commit.partition("-dirty")
    return digits if digits in _UNKNOWN else digits[:7] + dirty


def device_of(manifest: Mapping[str, Any]) -> str:
    """Device that a checkpoint was pruned on, or ""; of a GPU its name."""
    made_by = manifest.get("pruning", {})
    return str(made_by.get("gpu") or made_by.get("device", ""))


def _duration(cells: Any) -> str:
    seconds = cells["wall_seconds"].sum() if "wall_seconds" in cells else 0
    return f"{duration(seconds)}, the sum over all jobs" if seconds else ""
