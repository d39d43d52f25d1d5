"""Text of table files: CSV, Markdown with a caption, plain lines."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pandas as pd

from leap_suite.results.frame import Results
from leap_suite.results.mixed import sentence
from leap_suite.tables.caption import bold_sentence
from leap_suite.tables.context import Context
from leap_suite.tables.entries import escaped, number, table

Columns = Mapping[str, Callable[[Any], str]]  # heading: formatter of a row

SECONDS = (
    "Seconds: of the job that prunes or trains, loading included and without the jobs whose masks "
    "it takes; wall time at the load that the machine had, and processor time of all threads."
)
SECONDS_COLUMNS: Columns = {
    "Seconds": lambda row: number(row.wall_seconds, 1),
    "CPU seconds": lambda row: number(row.cpu_seconds, 1),
}


def captioned(
    results: Results,
    context: Context,
    rows: pd.DataFrame,
    caption: str,
    columns: Columns,
    alignment: str,
) -> dict[str, str]:
    """`rows` as CSV, and as Markdown with a caption: one table, or one per model if there is a
    column `model`."""
    lines = [f"{bold_sentence(results.generated)}Scale `{context.scale}`. {caption}"]
    blocks = rows.groupby("model", sort=False) if "model" in rows else [("", rows)]
    for model, block in blocks:
        lines += ["", *([f"### {escaped(str(model))}", ""] if model else [])]
        cells = ([text(row) for text in columns.values()] for row in block.itertuples())
        lines += table(list(columns), cells, alignment)
    return {"csv": csv_text(rows), "md": lines_text([*lines, *mixed_lines(results)])}


def csv_text(frame: pd.DataFrame) -> str:
    """A frame as CSV; NaN is an empty field."""
    # Ten digits are more than any result has, and hide that 100 * 0.57 is 56.99999999999999.
    text: str = frame.to_csv(index=False, float_format="%.10g", lineterminator="\n")
    return text


def lines_text(lines: Sequence[str]) -> str:
    """Join lines, each with its newline."""
    return "".join(f"{line}\n" for line in lines)


def mixed_lines(results: Results) -> list[str]:
    """Note below a table whose results mix dtypes or package versions; [] for uniform results."""
    mixed = sentence(results.cells)
    return ["", escaped(mixed)] if mixed else []
