"""Cells of tables that stand in Markdown and on the page."""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from suite.tables.markdown import escaped
from suite.tables.numbers import number


@dataclass(frozen=True)
class Field:
    """What is shown, the number it is sorted by on the page if that is another, a link there."""

    text: str
    sort: float | None = None
    link: str = ""
    best: bool = False


def number_field(value: float, printed: Callable[[float], str] = number) -> Field:
    """A number as it is printed; NaN has no place in the order."""
    return Field(printed(value), None if math.isnan(value) else value)


def markdown(rows: Iterable[Sequence[Field]]) -> list[list[str]]:
    """The texts for a table in Markdown."""
    return [[escaped(field.text) for field in row] for row in rows]
