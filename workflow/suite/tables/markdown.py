"""Tables and text as GitHub Markdown."""

from collections.abc import Iterable, Sequence

_ESCAPES = str.maketrans({sign: f"\\{sign}" for sign in r"\`*_[]<>|#"})
_RULES = {"l": "---", "r": "---:"}


def escaped(text: str) -> str:
    """`text` with the signs escaped that mean something in Markdown."""
    return text.translate(_ESCAPES)


def table(headings: Sequence[str], rows: Iterable[Sequence[str]], alignment: str) -> list[str]:
    """The lines of a table; `alignment` has an "l" or "r" for each column.

    What is in it may be Markdown itself, such as bold: texts of others go through `escaped` first.
    Raises ValueError for a row that has not as many columns as `alignment`.
    """
    lines = [headings, [_RULES[letter] for letter in alignment], *rows]
    for line in lines:
        if len(line) != len(alignment):
            raise ValueError(f"a row of {len(line)} in a table of {len(alignment)}: {list(line)}")
    return [f"| {' | '.join(line)} |" for line in lines]
