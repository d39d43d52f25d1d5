"""Entries of tables, in GitHub Markdown and on the page."""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from suite.tables.numbers import number

_ESCAPES = str.maketrans({sign: f"\\{sign}" for sign in r"\`*_[]<>|#"})
_RULES = {"l": "---", "r": "---:"}


def escaped(text: str) -> str:
    """Escape Markdown's special characters."""
    return text.translate(_ESCAPES)


def table(headings: Sequence[str], rows: Iterable[Sequence[str]], alignment: str) -> list[str]:
    """Lines of a table; `alignment` has an "l" or "r" for each column.

    Entries may be Markdown: pass user text through `escaped` first. Raises ValueError for a row
    whose length differs from `alignment`.
    """
    lines = [headings, [_RULES[letter] for letter in alignment], *rows]
    for line in lines:
        if len(line) != len(alignment):
            raise ValueError(f"a row of {len(line)} in a table of {len(alignment)}: {list(line)}")
    return [f"| {' | '.join(line)} |" for line in lines]


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
