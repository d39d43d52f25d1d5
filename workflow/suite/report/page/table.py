"""Tables of the report: what a cell shows and is sorted by, and what columns are for."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field

from suite.tables.numbers import number


@dataclass(frozen=True)
class Field:
    """A cell of a table: what is shown, the number it is sorted by if that is another, a link."""

    text: str
    sort: float | None = None
    link: str = ""
    best: bool = False


@dataclass(frozen=True)
class Body:
    """Rows of a table, and which columns: of text; to choose rows by; left out on a phone; better
    the lower they are."""

    rows: list[list[Field]]
    text: tuple[int, ...] = field(default=(0,))
    filters: tuple[int, ...] = ()
    wide: tuple[int, ...] = ()
    low: tuple[int, ...] = ()


def number_field(value: float, printed: Callable[[float], str] = number) -> Field:
    """A number as it is printed; NaN has no place in the order."""
    return Field(printed(value), None if math.isnan(value) else value)
