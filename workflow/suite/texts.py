"""Documents of plain text, from a hub dataset (or its mirror) or from a JSON lines file."""

import json
from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

from suite.hub import locate, reaching


def documents(text: Mapping[str, Any]) -> Iterator[str]:
    """The documents of a text setting, in the data set's order.

    `{"hub": id, "name": config, "split": ..., "column": ..., "documents": n, "skip": m}` streams n
    rows (0: all) after the first m (0 if not given) without downloading more than is read;
    `{"file": path}` reads `text` from the lines of a JSON lines file.
    """
    if "file" in text:
        yield from _lines(Path(text["file"]))
        return
    from datasets import load_dataset
    from datasets.utils.logging import disable_progress_bar

    disable_progress_bar()
    with reaching(text["hub"]):
        rows = load_dataset(
            locate(text["hub"]), text["name"] or None, split=text["split"], streaming=True
        )
        skip = text.get("skip", 0)
        end = skip + text["documents"] if text["documents"] else None
        for row in islice(rows, skip, end):
            yield row[text["column"]]


def _lines(path: Path) -> Iterator[str]:
    with open(path) as file:
        for line in file:
            yield json.loads(line)["text"]
