"""Sortable tables of the page."""

from collections.abc import Sequence
from dataclasses import dataclass

from suite.tables.field import Field


@dataclass(frozen=True)
class Table:
    """Headings and rows, and the roles of columns, by their indices.

    `text` columns are aligned left, `filters` have a menu that selects rows, `wide` are hidden on a
    phone, and in `low` smaller numbers are better.
    """

    headings: Sequence[str]
    rows: Sequence[Sequence[Field]]
    text: Sequence[int] = (0,)
    filters: Sequence[int] = ()
    wide: Sequence[int] = ()
    low: Sequence[int] = ()
