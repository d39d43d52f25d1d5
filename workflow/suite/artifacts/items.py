"""Which items of the tasks a checkpoint answered correctly: what paired tests are made of."""

import csv
import gzip
import io
from collections.abc import Mapping, Sequence
from pathlib import Path

from suite.artifacts.files import replacing

# column of the tables -> task or subtask of lm-eval -> number of the item -> 1 if it is correct
Items = dict[str, dict[str, dict[int, int]]]

_HEADER = ("column", "task", "item", "acc")


def from_samples(
    samples: Mapping[str, Sequence[Mapping]], leaves: Mapping[str, list[str]]
) -> Items:
    """Items by column, from lm-eval's samples by task; `leaves` are the tasks of each column."""
    return {
        column: {leaf: {int(s["doc_id"]): int(s["acc"]) for s in samples[leaf]} for leaf in tasks}
        for column, tasks in leaves.items()
    }


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


def read_items(path: Path) -> Items:
    """Read what `write_items` wrote. Raises ValueError for a damaged file."""
    try:
        text = gzip.decompress(path.read_bytes()).decode()
        header, *rows = csv.reader(io.StringIO(text))
        if tuple(header) != _HEADER:
            raise ValueError(f"its columns are {', '.join(header)}")
        items: Items = {}
        for column, task, item, correct in rows:
            items.setdefault(column, {}).setdefault(task, {})[int(item)] = int(correct)
    except (EOFError, gzip.BadGzipFile, UnicodeDecodeError, ValueError) as error:
        raise ValueError(f"{path} is damaged ({error}): delete it and run again") from error
    return items
