"""Tables of the report: rows, and what columns are for."""

from collections.abc import Sequence
from dataclasses import dataclass

from suite.tables.field import Field


@dataclass(frozen=True)
class Body:
    """Rows of a table, and which columns: of text; to choose rows by; left out on a phone; better
    the lower they are."""

    rows: Sequence[Sequence[Field]]
    text: tuple[int, ...] = (0,)
    filters: tuple[int, ...] = ()
    wide: tuple[int, ...] = ()
    low: tuple[int, ...] = ()
