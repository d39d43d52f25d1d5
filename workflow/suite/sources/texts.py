"""Documents of plain text, from a hub dataset (or its mirror) or from a JSON lines file."""

import json
from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from suite.sources.hub import cache_of, locate, mirror, reaching
from suite.sources.mirror.manifest import split_prefix
from suite.sources.revisions import recorded, to_load

if TYPE_CHECKING:
    from datasets import IterableDataset


def documents(text: Mapping[str, Any]) -> Iterator[str]:
    """The documents of a text setting, in the data set's order.

    `{"hub": id, "name": config, "split": ..., "column": ..., "documents": n, "skip": m,
    "revision": commit}` streams n rows (0: all) after the first m (0 if not given) of that commit
    (the newest if not given) without downloading more than is read; `{"file": path}` reads `text`
    from the lines of a JSON lines file.
    """
    if "file" in text:
        yield from _lines(Path(text["file"]))
        return
    skip = text.get("skip", 0)
    end = skip + text["documents"] if text["documents"] else None
    with reaching(text["hub"]):
        stream = rows(text["hub"], text["name"], text["split"], text.get("revision"))
        for row in islice(stream, skip, end):
            yield row[text["column"]]


def fixed(text: Mapping[str, Any]) -> dict[str, Any]:
    """A text setting with the commit that it is to be read at, which is not looked up again."""
    if "file" in text:
        return dict(text)
    return {**text, "revision": to_load(text["hub"], text.get("revision"))}


def source(text: Mapping[str, Any]) -> dict[str, str]:
    """What to record of a hub text that `fixed` gave; nothing of a file."""
    if "file" in text:
        return {}
    place = {key: text[key] for key in ("hub", "name", "split")}
    return {**place, "revision": recorded(text["revision"], [split_prefix(*place.values())])}


def rows(dataset: str, name: str, split: str, revision: str | None = None) -> "IterableDataset":
    """The rows of a hub data set's split, streamed.

    `revision` is the commit, if it is not to be the newest; a mirror has one only.
    """
    from datasets import load_dataset
    from datasets.utils.logging import disable_progress_bar

    disable_progress_bar()
    place = locate(dataset)
    return load_dataset(
        place,
        name or None,
        split=split,
        streaming=True,
        revision=None if mirror() else revision,
        cache_dir=cache_of(place),
    )


def _lines(path: Path) -> Iterator[str]:
    with open(path) as file:
        for line in file:
            yield json.loads(line)["text"]
