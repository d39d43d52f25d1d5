"""Score of every task item, for paired tests."""

import csv
import gzip
import io
import math
from collections.abc import Mapping, Sequence
from numbers import Real
from pathlib import Path
from statistics import fmean
from typing import Any

from leap_suite.artifacts.files import replacing

# measure -> task or subtask of lm-eval -> number of the item -> its score, 1 if it is correct
Items = dict[str, dict[str, dict[int, float]]]

_HEADER = ("column", "task", "item", "acc")


def from_samples(
    samples: Mapping[str, Sequence[Mapping[str, Any]]], metric: str, score: float
) -> dict[str, dict[int, float]]:
    """Item scores of a task, from lm-eval's samples by subtask.

    Empty where the task's score is not the mean over items, such as a perplexity.
    """
    values = [sample.get(metric) for each in samples.values() for sample in each]
    numbers = [value for value in values if isinstance(value, Real)]
    if len(numbers) < len(values) or not math.isclose(fmean(numbers), score, rel_tol=1e-9):
        return {}
    return {
        leaf: {int(sample["doc_id"]): _number(sample[metric]) for sample in each}
        for leaf, each in samples.items()
    }


def _number(value: Any) -> float:
    """An integer where possible, since most scores are 0 or 1."""
    return int(value) if float(value).is_integer() else float(value)


def write_items(items: Items, path: Path) -> None:
    """Write a gzipped CSV file, one line per item; equal items give equal bytes."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(_HEADER)
    for column, tasks in items.items():
        for task, correct in tasks.items():
            writer.writerows((column, task, item, correct[item]) for item in sorted(correct))
    with replacing(path) as temporary:
        temporary.write_bytes(gzip.compress(text.getvalue().encode(), mtime=0))
