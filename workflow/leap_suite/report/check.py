"""Whether a finished run has the numbers of its tracked example.

`make check RUN=mini` compares results/mini/tables/main.csv with results/examples/mini/main.csv: the
same cells, and each cell's average accuracy and perplexity within a tolerance. Another kind of CPU
sums in another order; where that decides near-ties, masks and scores change. docs/statistics.md
("Other machines") says what the tolerance was derived from.
"""

import io
import math
import sys
from pathlib import Path

import pandas as pd

from leap_suite.places import SCALES
from leap_suite.plan.cell import Cell
from leap_suite.report.examples import EXAMPLES
from leap_suite.results.frame import CELL
from leap_suite.tables.entries import number, perplexity

POINTS, RATIO = 2.5, 1.02
SHOWN = 5
_TABLE = "main.csv"
_COLUMNS = [*CELL, "average", "ppl"]


def read(path: Path, remedy: str) -> pd.DataFrame:
    """Average accuracy and perplexity by cell of a main.csv.

    Raises ValueError, with `remedy`, if the file is damaged.
    """
    try:
        text = path.read_text(encoding="utf-8")
        if not text.endswith("\n"):
            raise ValueError("it ends within a line")
        table = pd.read_csv(io.StringIO(text), dtype={"average": float, "ppl": float})
        if lacking := [name for name in _COLUMNS if name not in table]:
            raise ValueError(f"no column {lacking[0]}")
        if table[_COLUMNS].isna().any(axis=None) or (table["ppl"] < 1).any():
            raise ValueError("cells without an accuracy or a perplexity")
        table.index = pd.Index([Cell.at(*key).path for key in table[CELL].itertuples(index=False)])
        if table.index.has_duplicates:
            raise ValueError("the same cell twice")
    except ValueError as error:
        reason = str(error).strip().splitlines()[0]
        raise ValueError(f"{path} is damaged ({reason}): {remedy}") from None
    return table[["average", "ppl"]]


def differences(found: pd.DataFrame, expected: pd.DataFrame) -> pd.DataFrame:
    """The cells of both, largest difference first.

    `points` are of accuracy, `ratio` is of perplexities, `share` is the larger of the two as a
    part of its tolerance.
    """
    both = found.join(expected.add_suffix("_expected"), how="inner")
    both["points"] = both["average"] - both["average_expected"]
    both["ratio"] = both["ppl"] / both["ppl_expected"]
    shares = both["points"].abs() / POINTS, both["ratio"].map(math.log).abs() / math.log(RATIO)
    both["share"] = pd.concat(shares, axis="columns").max(axis="columns")
    return both.sort_values("share", ascending=False, kind="stable")


def problems(found: pd.DataFrame, expected: pd.DataFrame) -> list[str]:
    """A line per cell that is missing, additional, or outside the tolerance."""
    lines = [f"{cell}: missing" for cell in expected.index.difference(found.index, sort=False)]
    lines += [
        f"{cell}: not in the example" for cell in found.index.difference(expected.index, sort=False)
    ]
    for row in differences(found, expected).query("share > 1").itertuples():
        accuracy = f"accuracy {number(row.average)} instead of {number(row.average_expected)}"
        lines.append(
            f"{row.Index}: {accuracy}, "
            f"perplexity {perplexity(row.ppl)} instead of {perplexity(row.ppl_expected)}"
        )
    return lines


def largest(found: pd.DataFrame, expected: pd.DataFrame) -> str:
    """The largest differences as a table for the terminal."""
    rows = [
        [row.Index, number(row.average), number(row.points, sign="+"), perplexity(row.ppl),
         f"{row.ratio:.4f}"]
        for row in differences(found, expected).head(SHOWN).itertuples()
    ]  # fmt: skip
    headings = ["largest differences", "accuracy", "points", "perplexity", "ratio"]
    widths = [max(map(len, column)) for column in zip(headings, *rows, strict=True)]
    return "\n".join(
        "  ".join([line[0].ljust(widths[0]), *map(str.rjust, line[1:], widths[1:])])
        for line in [headings, *rows]
    )


def check(run: str) -> list[str]:
    """Print what differs from the example, and return a line per cell that is not as expected.

    Raises ValueError if there is no such example or run, or a file is damaged.
    """
    example, table = EXAMPLES / run / _TABLE, Path("results", run, "tables", _TABLE)
    if not example.is_file():
        known = ", ".join(sorted(file.parent.name for file in EXAMPLES.glob(f"*/{_TABLE}")))
        raise ValueError(f"there is no tracked example of {run}: choose one of {known}")
    setting = f"scale={run}" if (SCALES / f"{run}.yaml").is_file() else f"run={run} ..."
    finish = f"run snakemake --cores all --config {setting}"
    if not table.is_file():
        raise ValueError(f"there is no {table}: {finish}")
    found = read(table, f"delete it and {finish}")
    expected = read(example, f"git checkout {example}")
    if found.index.intersection(expected.index).empty:
        raise ValueError(f"{table} has no cell of the example, so it is of another scale: {finish}")
    print(f"{len(found)} cells of {table}, compared with {len(expected)} tracked ones;")
    print(f"tolerance: {number(POINTS, 1)} points of accuracy, ratio {RATIO} of perplexity\n")
    print(largest(found, expected), end="\n\n")
    return problems(found, expected)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python -m leap_suite.report.check RUN")
    try:
        lines = check(sys.argv[1])
    except (OSError, ValueError) as error:
        sys.exit(str(error))
    if lines:
        cells = f"{len(lines)} cell{'s' * (len(lines) > 1)}"
        sys.exit("\n".join([f"not as expected, {cells}:", *lines]))
    print("as expected")
