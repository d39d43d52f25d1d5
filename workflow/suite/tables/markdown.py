"""Tables and escapes of GitHub Markdown."""

from collections.abc import Iterable, Sequence

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
