"""How a checkpoint answered each item of the tasks: what paired tests are made of."""

import csv
import gzip
import io
import math
from collections.abc import Mapping, Sequence
from numbers import Real
from pathlib import Path
from statistics import fmean
from typing import Any

from suite.artifacts.files import replacing

# task -> task or subtask of lm-eval -> number of the item -> its score, 1 if it is correct
Items = dict[str, dict[str, dict[int, float]]]

_HEADER = ("column", "task", "item", "acc")


def from_samples(
    samples: Mapping[str, Sequence[Mapping[str, Any]]], metric: str, score: float
) -> dict[str, dict[int, float]]:
    """A task's items out of lm-eval's samples by leaf.

    Nothing where the score is not the mean of the metric's numbers, as a perplexity is not.
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
    """A whole number as such, since most are 0 or 1."""
    return int(value) if float(value).is_integer() else float(value)


def write_items(items: Items, path: Path) -> None:
    """Write a gzipped CSV file, one line an item; equal items give equal bytes."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(_HEADER)
    for column, tasks in items.items():
        for task, correct in tasks.items():
            writer.writerows((column, task, item, correct[item]) for item in sorted(correct))
    with replacing(path) as temporary:
        temporary.write_bytes(gzip.compress(text.getvalue().encode(), mtime=0))
