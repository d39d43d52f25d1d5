"""Note on, or refusal of, results in several dtypes or from several package versions.

Dtypes are compared among models that ask for the same one.
"""

import os
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import pandas as pd

from leap_suite.plan.cell import Cell
from leap_suite.results.collect import UNKNOWN
from leap_suite.results.frame import CELL

_NAMED = 10  # cells at most

# description, such as "evaluated in", and cells by dtype or version, the most frequent first
_Mixture = tuple[str, Mapping[str, Sequence[str]]]


def sentence(cells: pd.DataFrame) -> str:
    """Counts of cells by dtype and version where there are several, or ""."""
    parts = [_part(*mixture) for mixture in _mixtures(cells)]
    return f"Mixed: {'; '.join(parts)}." if parts else ""


def refuse_if_strict(cells: pd.DataFrame) -> None:
    """`refuse` under LEAP_SUITE_STRICT=1, which the setting `strict` sets."""
    if os.environ.get("LEAP_SUITE_STRICT") == "1":
        refuse(cells)


def refuse(cells: pd.DataFrame) -> None:
    """Raise ValueError for mixed results (`Results.cells`), naming the cells of the minority."""
    mixtures = _mixtures(cells)
    if not mixtures:
        return
    made = _fewer(mixture for mixture in mixtures if not mixture[0].startswith("evaluated"))
    evaluated = [path for path in _fewer(mixtures) if path not in made]
    parts = [f"{_named(evaluated)} below evaluations"] if evaluated else []
    parts += [f"{_named(made)} below pruned, hardened and evaluations"] if made else []
    raise ValueError(
        f"strict is true, and this table would mix its cells. {sentence(cells)} Delete the "
        f"fewer, {'; '.join(parts)}, and run again on the kind of machine and with the packages of "
        "the others, or leave out strict"
    )


def _mixtures(cells: pd.DataFrame) -> list[_Mixture]:
    found: defaultdict[tuple[str, str], defaultdict[str, list[str]]]
    found = defaultdict(lambda: defaultdict(list))
    for row in cells.itertuples():
        for how, value, key in _values(row):
            found[how, key][value].append(Cell.at(*(getattr(row, name) for name in CELL)).path)
    # unknown ones last
    return [
        (how, dict(sorted(paths.items(), key=lambda item: (item[0] == UNKNOWN, -len(item[1])))))
        for (how, _), paths in found.items()
        if len(paths) > 1
    ]


def _values(row: Any) -> Iterator[tuple[str, str, str]]:
    """Description, dtype or version, and key of a cell; cells with equal keys should agree."""
    yield "evaluated in", row.dtype, row.asked_dtype
    # unknown for methods with a rule of their own, which no rerun changes
    if row.pruning_dtype not in ("", UNKNOWN):
        yield "pruned in", row.pruning_dtype, row.asked_dtype
    for how, versions in (("evaluated", row.versions), ("hardened", row.hardening_versions)):
        for package in filter(None, versions.split(", ")):
            name, _, version = package.partition(" ")
            yield f"{how} with {name}", version, ""


def _fewer(mixtures: Iterable[_Mixture]) -> list[str]:
    """Unique paths of the cells outside the majority."""
    others = (of_value for _, cells in mixtures for of_value in [*cells.values()][1:])
    return list(dict.fromkeys(path for of_value in others for path in of_value))


def _named(paths: Sequence[str]) -> str:
    more = f" and {len(paths) - _NAMED} more" if len(paths) > _NAMED else ""
    return ", ".join(paths[:_NAMED]) + more


def _part(how: str, cells: Mapping[str, Sequence[str]]) -> str:
    """Such as "28 cells evaluated in bfloat16, 1 in float32"."""
    (first, most), *others = ((value, len(of_value)) for value, of_value in cells.items())
    relation = how.partition(" ")[2]
    rest = [
        f"{count} {UNKNOWN}" if value == UNKNOWN else f"{count} {relation} {value}"
        for value, count in others
    ]
    return ", ".join([f"{most} cell{'s' * (most > 1)} {how} {first}", *rest])
