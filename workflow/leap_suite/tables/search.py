"""Hyperparameter search: settings of a method ranked by validation perplexity."""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from leap_suite.results.frame import Results
from leap_suite.tables.context import Context
from leap_suite.tables.entries import NONE, perplexity, table
from leap_suite.tables.text import csv_text, lines_text, mixed_lines


def search(results: Results, context: Context) -> Mapping[str, str]:
    """Ranking as CSV and Markdown."""
    ranked = ranking(results, context.methods)
    headings = [str(column) for column in ranked.columns]
    rows = [
        [perplexity(value, 3) if isinstance(value, float) else str(value) for value in row]
        for row in ranked.to_numpy().tolist()
    ]
    best = context.methods[ranked["method"].iloc[0]]
    lines = [f"**{context.note}.**", ""] if context.note else []
    lines += table(headings, rows, "l" * len(headings))
    lines += ["", f"{len(ranked)} settings tried. {edges(best, context.methods.values())}"]
    lines += mixed_lines(results)
    return {"csv": csv_text(ranked), "md": lines_text(lines)}


def ranking(results: Results, settings: Mapping[str, Mapping[str, Any]]) -> pd.DataFrame:
    """One row per method, best first: the settings that differ, and its perplexity by model.

    Perplexities of models and of seeds are averaged geometrically, which averages their losses.
    """
    cells = results.cells.assign(loss=np.log(results.cells["validation_ppl"]))
    losses = cells.pivot_table(index="method", columns="model", values="loss", aggfunc="mean")
    ranked = losses.map(np.exp).rename_axis(columns=None)
    ranked.insert(0, "perplexity", losses.mean(axis=1).map(np.exp))
    for setting in reversed(_varied(settings)):
        values = [str(settings[method].get(setting, NONE)) for method in ranked.index]
        ranked.insert(0, setting, values)
    return ranked.sort_values("perplexity").reset_index()


def edges(best: Mapping[str, Any], tried: Iterable[Mapping[str, Any]]) -> str:
    """Sentence on the numbers of the best setting that are the least or largest tried."""
    tried, found = list(tried), []
    for name, value in best.items():
        numbers = {of[name] for of in tried if _is_number(of.get(name))}
        if len(numbers) > 1 and _is_number(value) and value in (min(numbers), max(numbers)):
            found.append(f"{'least' if value == min(numbers) else 'largest'} {name}")
    if not found:
        return "The best one is at no edge of the numbers tried."
    return f"The best one has the {' and the '.join(found)} tried: a better one may lie beyond."


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _varied(settings: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Names of the settings that are not the same for all methods."""
    names = dict.fromkeys(name for values in settings.values() for name in values)
    first, *others = settings.values()
    return [name for name in names if any(o.get(name) != first.get(name) for o in others)]
