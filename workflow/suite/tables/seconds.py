"""What pruning or training a cell took, as its manifest has it."""

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from suite.artifacts.files import read_json
from suite.plan.cell import Cell

EXPLAINED = (
    "Seconds: of the job that prunes or trains, loading included and without the jobs whose masks "
    "it takes; wall time at the load that the machine had, and processor time of all threads."
)


@dataclass(frozen=True)
class Seconds:
    """Wall time and processor time; NaN where it was not recorded, or nothing was pruned."""

    wall: float = math.nan
    cpu: float = math.nan


def read_seconds(manifests: Sequence[Path]) -> dict[Cell, Seconds]:
    """The seconds of every pruned cell. Raises ValueError for a damaged file."""
    found = {}
    for manifest in map(read_json, manifests):
        place = manifest["model"], manifest["method"], manifest["target_sparsity"]
        cost = manifest["pruning"]["cost"]
        found[Cell.at(*place, manifest["seed"])] = Seconds(
            cost["wall_time_seconds"], cost.get("cpu_seconds", math.nan)
        )
    return found


def mean_seconds(cells: Iterable[Cell], seconds: Mapping[Cell, Seconds]) -> Seconds:
    """The mean over cells."""
    found = [seconds.get(cell, Seconds()) for cell in cells]
    return Seconds(
        statistics.fmean(each.wall for each in found), statistics.fmean(each.cpu for each in found)
    )
