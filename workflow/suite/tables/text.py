"""The text of tables' files: CSV, Markdown and plain lines."""

from collections.abc import Sequence

import pandas as pd

from suite.results.frame import Results
from suite.results.mixed import sentence
from suite.tables.markdown import escaped

# What wall and processor time in a table are.
SECONDS = (
    "Seconds: of the job that prunes or trains, loading included and without the jobs whose masks "
    "it takes; wall time at the load that the machine had, and processor time of all threads."
)


def csv_text(frame: pd.DataFrame) -> str:
    """A table as CSV, an unknown number as an empty field."""
    # Ten digits are more than any result has, and hide that 100 * 0.57 is 56.99999999999999.
    text: str = frame.to_csv(index=False, float_format="%.10g", lineterminator="\n")
    return text


def lines_text(lines: Sequence[str]) -> str:
    """Lines, each with its end."""
    return "".join(f"{line}\n" for line in lines)


def mixed_lines(results: Results) -> list[str]:
    """What stands below a table whose results were not computed alike."""
    mixed = sentence(results.cells)
    return ["", escaped(mixed)] if mixed else []
