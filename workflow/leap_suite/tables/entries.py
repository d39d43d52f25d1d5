"""Entries of tables: numbers, GitHub Markdown, and fields of the page.

A NaN is a dash. `sign` "+" signs positive numbers too. An `error` follows in the number's format.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

NONE = "–"
PLUS_MINUS = " ± "
_ESCAPES = str.maketrans({sign: f"\\{sign}" for sign in r"\`*_[]<>|#"})
_RULES = {"l": "---", "r": "---:"}


def number(value: float, decimals: int = 2, sign: str = "", error: float = math.nan) -> str:
    """Fixed decimals, never "-0.00"."""
    return _printed(value, f"z.{decimals}f", sign, error)


def perplexity(value: float, decimals: int = 2, sign: str = "", error: float = math.nan) -> str:
    """As `number` below 100, one decimal below 10,000, above as 4.6e+09."""
    if abs(round(value, 1)) >= 1e4:
        return _printed(value, ".1e", sign, error)
    return number(value, 1 if abs(round(value, decimals)) >= 100 else decimals, sign, error)


def bytes_text(size: float) -> str:
    """Three digits of bytes, kB, MB or GB of powers of 1,000."""
    if math.isnan(size):
        return NONE
    rounded = float(f"{size:.3g}")
    power = min(3, int(math.log10(max(rounded, 1))) // 3)
    return f"{rounded / 1000**power:.3g} {('B', 'kB', 'MB', 'GB')[power]}"


def _printed(value: float, form: str, sign: str, error: float) -> str:
    if math.isnan(value):
        return NONE
    text = f"{value:{sign}{form}}"
    return text if math.isnan(error) else f"{text}{PLUS_MINUS}{error:{form}}"


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
