"""Documents of plain text, from a data set of the Hub (or its mirror) or from a JSON lines file."""

import json
from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from leap_suite.sources.hub import UNKNOWN, cache_of, commit_of, locate, reaching
from leap_suite.sources.prefetched import has_rows, intact_rows

if TYPE_CHECKING:
    from datasets import IterableDataset


def documents(text: Mapping[str, Any]) -> Iterator[str]:
    """Documents of a text setting, in the order of the data set.

    `{"hub": id, "name": config, "split": ..., "column": ..., "documents": n, "skip": m,
    "revision": commit}` gives n rows (0: all) after the first m (default 0) at that commit
    (default: the newest), from the prefetched rows or streamed, without downloading more than is
    read; `{"file": path}` reads `text` from the lines of a JSON lines file.
    """
    if "file" in text:
        yield from _lines(Path(text["file"]))
        return
    skip = text.get("skip", 0)
    end = skip + text["documents"] if text["documents"] else None
    commit = commit_of(text["hub"], text.get("revision"))
    if commit and has_rows(text, commit, end or 0):
        yield from islice(_lines(intact_rows(text, commit)), skip, end)
        return
    with reaching(text["hub"]):
        for row in islice(rows(text, commit), skip, end):
            yield row[text["column"]]


def fixed(text: Mapping[str, Any]) -> dict[str, Any]:
    """A text setting with the commit to read, so that it is looked up only once."""
    if "file" in text:
        return dict(text)
    return {**text, "revision": commit_of(text["hub"], text.get("revision"))}


def source(text: Mapping[str, Any]) -> dict[str, str]:
    """Provenance of a Hub text that `fixed` returned; empty for a file."""
    if "file" in text:
        return {}
    place = {key: text[key] for key in ("hub", "name", "split")}
    return {**place, "revision": text["revision"] or UNKNOWN}


def rows(text: Mapping[str, Any], commit: str | None) -> "IterableDataset":
    """Stream the rows of a text's split at a commit (None from a mirror, which has only one)."""
    from datasets import load_dataset
    from datasets.utils.logging import disable_progress_bar

    disable_progress_bar()
    place = locate(text["hub"])
    return load_dataset(
        place,
        text["name"] or None,
        split=text["split"],
        streaming=True,
        revision=commit,
        cache_dir=cache_of(place, commit),
    )


def _lines(path: Path) -> Iterator[str]:
    with open(path, encoding="utf-8") as file:
        for line in file:
            yield json.loads(line)["text"]
