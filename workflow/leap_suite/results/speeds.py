"""Measured speed and bytes of cells, from the files of rule `measure`.

Other ways of holding the weights are compared with the best dense way in the same round, so that
both saw the same load of the machine.
"""

import math
import statistics
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from leap_suite.artifacts.files import read_json
from leap_suite.plan.cell import DENSE
from leap_suite.results.frame import CELL

PACKED = "bitmask"
DENSE_WAYS = ("bfloat16", "own kernel", "float32")
OWN_WAYS = (PACKED, "8 bits", "4 bits")  # of methods, rather than for comparison
SPARSE_WAYS = (*OWN_WAYS, "csr")

_Rounds = Sequence[Mapping[str, Any]]


def speeds(files: Sequence[Path]) -> pd.DataFrame:
    """One row per cell and way: sparse and rounded ones, and for a dense cell the dense ones.

    Columns: `CELL`, `way`, `file_bytes` (on disk), `weight_bytes` (in memory), `byte_share` (of
    dense bfloat16), `peak_bytes`, `first_token_seconds`, and by batch `speed_<batch>` (tokens a
    second), medians over rounds; `first_token_gain` and `gain_<batch>`, how many times as fast as
    the best dense way, and half their range over rounds as `..._spread`. NaN: gains of dense rows,
    and what was not measured.
    """
    return pd.DataFrame([row for file in files for row in _rows(read_json(file))])


def batches(found: pd.DataFrame) -> list[int]:
    """Measured numbers of texts at a time."""
    names = [str(name) for name in found.columns]
    return [int(name.removeprefix("speed_")) for name in names if name.startswith("speed_")]


def _rows(found: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    ways = {way: of["rounds"] for way, of in found["ways"].items()}
    shown = DENSE_WAYS if found["method"] == DENSE else SPARSE_WAYS
    dense_bytes = _median(ways["bfloat16"], "parameter_bytes")
    for way in (way for way in shown if way in ways):
        size = _median(ways[way], "parameter_bytes")
        row = {name: found[name] for name in CELL}
        row |= {"sparsity": float(found["sparsity"]), "way": way, "weight_bytes": size}
        row |= {"file_bytes": found["ways"][way]["file_bytes"]}
        row |= {"byte_share": size / dense_bytes, "peak_bytes": _median(ways[way], "peak_bytes")}
        row["first_token_seconds"] = _median(ways[way], "first_token_seconds")
        dense = [ways[name] for name in DENSE_WAYS if name in ways]
        row |= _gains("first_token_gain", way, *_seconds([ways[way], *dense]))
        for batch in ways[way][0]["tokens_per_second"]:
            own, *others = ([r["tokens_per_second"][batch] for r in w] for w in (ways[way], *dense))
            row[f"speed_{batch}"] = statistics.median(own)
            row |= _gains(f"gain_{batch}", way, own, *others)
        yield row


def _seconds(ways: Sequence[_Rounds]) -> list[list[float]]:
    """First tokens a second by way and round, of ways that measured it."""
    found = [[_number(r["first_token_seconds"]) for r in rounds] for rounds in ways]
    return [[1 / value for value in of] for of in found]


def gain(own: Sequence[float], *dense: Sequence[float]) -> tuple[float, float]:
    """Gain over the fastest of `dense` in each round: median, and half the range over rounds."""
    best = [max(v for v in speeds if not math.isnan(v)) for speeds in zip(*dense, strict=True)]
    ratios = [mine / other for mine, other in zip(own, best, strict=True)]
    return statistics.median(ratios), (max(ratios) - min(ratios)) / 2


def _gains(name: str, way: str, own: Sequence[float], *dense: Sequence[float]) -> dict[str, float]:
    """Columns of the `gain`, NaN for dense ways."""
    found = (math.nan, math.nan) if way in DENSE_WAYS else gain(own, *dense)
    return dict(zip((name, f"{name}_spread"), found, strict=True))


def _median(rounds: _Rounds, name: str) -> float:
    return statistics.median(_number(of_round[name]) for of_round in rounds)


def _number(value: float | None) -> float:
    return math.nan if value is None else float(value)
