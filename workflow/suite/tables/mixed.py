"""What a table says where its results were not computed alike: in several dtypes, or by several
versions of a package.

Dtypes are compared among models that ask for the same one.
"""

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from suite.plan.cell import Cell
from suite.tables.computed import UNKNOWN
from suite.tables.evaluations import Evaluated, read_cells
from suite.tables.markdown import escaped

_STRICT_VARIABLE = "LEAP_SUITE_STRICT"
_NAMED = 10  # cells at most

# how it was computed, such as "evaluated in", and the cells by dtype or version, most first
_Mixture = tuple[str, Mapping[str, Sequence[Cell]]]


def sentence(results: Sequence[Evaluated]) -> str:
    """How many cells have which dtypes and versions, where there are several, or ""."""
    return _sentence(_mixtures(results))


def checked(results: Sequence[Evaluated]) -> str:
    """`sentence` of results that are about to be a table.

    Raises ValueError as `refuse` does in strict runs, LEAP_SUITE_STRICT=1 (set by the
    configuration's strict).
    """
    if os.environ.get(_STRICT_VARIABLE) == "1":
        refuse(results)
    return sentence(results)


def refuse(results: Sequence[Evaluated]) -> None:
    """Raise ValueError for results that mix, with the cells that are fewer."""
    mixtures = _mixtures(results)
    if not mixtures:
        return
    made = _fewer(mixture for mixture in mixtures if not mixture[0].startswith("evaluated"))
    evaluated = [path for path in _fewer(mixtures) if path not in made]
    parts = [f"{_named(evaluated)} below evaluations"] if evaluated else []
    parts += [f"{_named(made)} below pruned, hardened and evaluations"] if made else []
    raise ValueError(
        f"strict is true, and this table would mix its cells. {_sentence(mixtures)} Delete the "
        f"fewer, {'; '.join(parts)}, and run again on the kind of machine and with the packages of "
        "the others, or leave out strict"
    )


def refuse_standing(evaluations: Iterable[str], manifests: Iterable[str]) -> None:
    """`refuse` for the results whose files are there already, before more of them are made."""
    found, pruned = (
        [file for file in map(Path, files) if file.is_file()] for files in (evaluations, manifests)
    )
    if found:
        refuse(read_cells(found, manifests=pruned))


def lines_below(mixed: str) -> list[str]:
    """The sentence as it stands below a table in Markdown; nothing where there is none."""
    return ["", escaped(mixed)] if mixed else []


def _mixtures(results: Sequence[Evaluated]) -> list[_Mixture]:
    found: dict[tuple[str, str], dict[str, list[Cell]]] = {}
    for result in results:
        for how, value, key in _values(result):
            found.setdefault((how, key), {}).setdefault(value, []).append(result.cell)
    return [(how, _most_first(cells)) for (how, _), cells in found.items() if len(cells) > 1]


def _values(result: Evaluated) -> Iterator[tuple[str, str, str]]:
    """How a cell was computed, in or with what, and a key: cells that share it are to be alike."""
    evaluated, pruned = result.computed, result.pruned
    yield "evaluated in", evaluated.dtype, result.asked_dtype
    # not recorded where a method brings a rule of its own, which nobody can make alike
    if pruned.dtype != UNKNOWN:
        yield "pruned in", pruned.dtype, result.asked_dtype
    for name, version in evaluated.versions.items():
        yield f"evaluated with {name}", version, ""
    for name, version in pruned.versions.items():
        yield f"hardened with {name}", version, ""


def _most_first(cells: Mapping[str, Sequence[Cell]]) -> dict[str, Sequence[Cell]]:
    """What was not recorded is the last."""
    return dict(sorted(cells.items(), key=lambda item: (item[0] == UNKNOWN, -len(item[1]))))


def _fewer(mixtures: Iterable[_Mixture]) -> list[str]:
    """The paths of the cells that have not what most have, each once."""
    others = (of_value for _, cells in mixtures for of_value in [*cells.values()][1:])
    return list(dict.fromkeys(cell.path for of_value in others for cell in of_value))


def _named(paths: Sequence[str]) -> str:
    more = f" and {len(paths) - _NAMED} more" if len(paths) > _NAMED else ""
    return ", ".join(paths[:_NAMED]) + more


def _sentence(mixtures: Sequence[_Mixture]) -> str:
    return f"Mixed: {'; '.join(_part(*mixture) for mixture in mixtures)}." if mixtures else ""


def _part(how: str, cells: Mapping[str, Sequence[Cell]]) -> str:
    """Such as "28 cells evaluated in bfloat16, 1 in float32"."""
    (first, most), *others = ((value, len(of_value)) for value, of_value in cells.items())
    relation = how.partition(" ")[2]
    rest = [
        f"{count} {UNKNOWN}" if value == UNKNOWN else f"{count} {relation} {value}"
        for value, count in others
    ]
    return ", ".join([f"{most} cell{'s' * (most > 1)} {how} {first}", *rest])
