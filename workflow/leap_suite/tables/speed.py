"""Quality, bytes and speed of checkpoints in generating text."""

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from leap_suite.plan.cell import DENSE
from leap_suite.plan.methods import method_label
from leap_suite.results.frame import Results, written
from leap_suite.results.speeds import OWN_WAYS, batches, speeds
from leap_suite.results.statistics import means
from leap_suite.tables.caption import accuracy, mean_accuracy
from leap_suite.tables.context import Context
from leap_suite.tables.entries import bytes_text, escaped, number, perplexity
from leap_suite.tables.text import captioned

WAYS = {
    "bfloat16": "dense, bfloat16",
    "own kernel": "dense, bfloat16, own kernel",
    "float32": "dense, float32",
    "bitmask": "packed",
    "8 bits": "8 bits",
    "4 bits": "4 bits",
    "csr": "CSR, float32",
}
_QUALITY = ["average", "average_stderr", "ppl"]


def speed(results: Results, speeds: Sequence[Path], context: Context) -> Mapping[str, str]:
    """Table of cells with their quality, bytes and speed, as CSV and Markdown."""
    rows = speed_rows(results, speeds)
    columns: dict[str, Callable[[Any], str]] = {
        "Method": lambda row: escaped(name_of(row.method)),
        "Sparsity": lambda row: row.sparsity,
        "Weights": lambda row: WAYS[row.way],
        f"{accuracy(results.generated)} (%)": lambda row: number(
            row.average, error=row.average_stderr
        ),
        "Perplexity": lambda row: perplexity(row.ppl),
        "Bytes": lambda row: bytes_text(row.weight_bytes),
        "Of dense (%)": lambda row: number(100 * row.byte_share, 1),
        "Peak memory": lambda row: bytes_text(row.peak_bytes),
        "First token (s)": lambda row: number(row.first_token_seconds, 3),
        "× dense": _column("first_token_gain", 2, "first_token_gain_spread"),
    }
    for batch in batches(rows):
        columns |= {
            f"Tokens/s, batch {batch}": _column(f"speed_{batch}", 1),
            f"× dense, batch {batch}": _column(f"gain_{batch}", 2, f"gain_{batch}_spread"),
        }
    alignment = "lll" + "r" * (len(columns) - 3)
    return captioned(results, context, rows, _caption(results), columns, alignment)


def name_of(method: str) -> str:
    """Name of a row's method."""
    return method_label(method) if method else "any"


def _column(name: str, decimals: int, error: str = "") -> Callable[[Any], str]:
    """Formatter of a column of numbers, and of the column of their errors if there is one."""
    return lambda row: number(
        getattr(row, name), decimals, error=getattr(row, error) if error else math.nan
    )


def speed_rows(results: Results, files: Sequence[Path]) -> pd.DataFrame:
    """Bytes and speed by model and sparsity: the dense model's, then of every method, then CSR's.

    `leap_suite.results.speeds` has the columns of a measured cell; its packed weights stand for all
    methods of the same model, sparsity and `pattern`. Quality (`average`, `average_stderr` in
    percent, `ppl`) is the mean over seeds, and NaN for CSR, which has the `method` "".
    """
    place = ["model", "sparsity", "pattern"]
    patterns = results.cells.groupby("method")["pattern"].first()
    found = speeds(files)
    found = found.assign(pattern=found["method"].map(patterns)).drop(columns="seed")
    quality = means(results.cells, _QUALITY).reset_index()
    quality = quality.assign(pattern=quality["method"].map(patterns))
    is_shared = found["way"].isin(OWN_WAYS)
    packed = quality.merge(found[is_shared].drop(columns="method"), on=place)
    dense = found[found["method"] == DENSE].merge(quality, on=[*place, "method"], how="left")
    others = found[~is_shared & (found["method"] != DENSE)].assign(method="")
    rows = pd.concat([dense, packed, others], ignore_index=True)
    rows["model"] = pd.Categorical(rows["model"], results.models)
    rows = rows.sort_values(["model", "sparsity"], kind="stable", ignore_index=True)
    return rows.assign(
        model=rows["model"].astype(str),
        sparsity=rows["sparsity"].map(written),
        tasks=results.task_kind,
    )


def _caption(results: Results) -> str:
    return (
        "What checkpoints take to generate text, and their quality: "
        f"{mean_accuracy(results)} (higher is better) ± one standard error, and perplexity (lower "
        "is better). Packed: one bit per weight and the kept weights, multiplied as they are for a "
        "few tokens at a time. 8 and 4 bits: torch's kernels for rounded weights. Bytes are those "
        "of all parameters, embedding and head included; peak memory is what loading and "
        "generating added to the process. Seconds to the first token after a prompt, and tokens a "
        "second afterwards for one text and for several at a time: medians over rounds. × dense: "
        "times as fast as the fastest dense way in the same round, ± half the range over rounds. "
        "Measured once for each model, sparsity and pattern, with random tokens, since speed "
        "depends neither on which weights are kept nor on the text."
    )
