"""Which settings of a method give the lowest perplexity on validation text."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from suite.artifacts.files import read_json
from suite.tables.main import write_frame, write_lines
from suite.tables.markdown import table
from suite.tables.numbers import perplexity


def ranking(validations: Sequence[Path], settings: Mapping[str, Mapping[str, Any]]) -> pd.DataFrame:
    """One row a method, best first: what sets it apart, and its perplexity by model.

    Models are averaged by the geometric mean of their perplexities (the mean of their losses),
    seeds likewise. `settings` are those of each method; the columns are the settings that differ.
    """
    read = pd.DataFrame(
        {
            "method": content["method"],
            "model": content["model"],
            "loss": np.log(content["perplexity"]["value"]),
        }
        for content in map(read_json, validations)
    )
    losses = read.pivot_table(index="method", columns="model", values="loss", aggfunc="mean")
    ranked = losses.map(np.exp).rename_axis(columns=None)
    ranked.insert(0, "perplexity", losses.mean(axis=1).map(np.exp))
    for setting in reversed(_varied(settings)):
        ranked.insert(0, setting, [str(settings[method][setting]) for method in ranked.index])
    return ranked.sort_values("perplexity").reset_index()


def write_ranking(ranked: pd.DataFrame, csv: Path, markdown: Path, note: str) -> None:
    """Write the table as CSV and as Markdown; `note`, or "", says what the models are."""
    headings = [str(column) for column in ranked.columns]
    rows = [[_print(value) for value in row] for row in ranked.to_numpy().tolist()]
    write_frame(ranked, csv)
    lines = [f"**{note}.**", ""] if note else []
    write_lines(markdown, [*lines, *table(headings, rows, "l" * len(headings))])


def _varied(settings: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Names of the settings that are not the same in all methods."""
    first, *others = settings.values()
    return [name for name in first if any(other[name] != first[name] for other in others)]


def _print(value: Any) -> str:
    return perplexity(value, 3) if isinstance(value, float) else str(value)
