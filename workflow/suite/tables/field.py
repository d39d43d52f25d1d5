"""Entries of tables in Markdown and on the page."""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from suite.tables.markdown import escaped
from suite.tables.numbers import number


@dataclass(frozen=True)
class Field:
    """Text of an entry and, on the page, its sort key if that differs, a link, and emphasis."""

    text: str
    sort: float | None = None
    link: str = ""
    best: bool = False


def number_field(value: float, printed: Callable[[float], str] = number) -> Field:
    """Entry of a number; NaN has no sort key."""
    return Field(printed(value), None if math.isnan(value) else value)


def markdown(rows: Iterable[Sequence[Field]]) -> list[list[str]]:
    """Escaped texts for a Markdown table."""
    return [[escaped(field.text) for field in row] for row in rows]
