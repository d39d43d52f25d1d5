"""List of the documents that the corpora of a run are read from."""

import csv
import gzip
import hashlib
import io
from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

from leap_suite.artifacts.files import replacing
from leap_suite.sources.hub import commit_of, reaching
from leap_suite.sources.prefetched import has_rows
from leap_suite.sources.texts import documents, rows

_HEADER = ("hub", "name", "split", "row", "sha256", "url", "timestamp")
_KNOWN_BY = ("url", "timestamp")  # columns of the data set, where it has them


def write_documents(corpora: Mapping[str, Mapping[str, Any]], output: Path) -> None:
    """Write a gzipped CSV file with one line per row of the Hub that corpora may read.

    These are the rows that a corpus' text names: `documents`, which is an upper bound for packing
    `stream`, after the first `skip`. `row` counts from 0 in the split, and `sha256` has the first
    16 digits of that of the text in UTF-8. Prefetched rows have no `url` and `timestamp`.
    """
    texts = {repr(corpus["text"]): corpus["text"] for corpus in corpora.values()}
    lines = io.StringIO()
    writer = csv.writer(lines, lineterminator="\n")
    writer.writerow(_HEADER)
    for text in texts.values():
        if "hub" in text:
            place = [text[key] for key in ("hub", "name", "split")]
            for number, row in enumerate(_rows(text), text.get("skip", 0)):
                digest = hashlib.sha256(row[text["column"]].encode()).hexdigest()[:16]
                writer.writerow([*place, number, digest, *(row.get(key, "") for key in _KNOWN_BY)])
    with replacing(output) as temporary:
        temporary.write_bytes(gzip.compress(lines.getvalue().encode(), mtime=0))


def _rows(text: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    skip = text.get("skip", 0)
    end = skip + text["documents"] if text["documents"] else None
    commit = commit_of(text["hub"], text.get("revision"))
    if commit and has_rows(text, commit, end or 0):
        yield from ({text["column"]: document} for document in documents(text))
        return
    with reaching(text["hub"]):
        yield from islice(rows(text, commit), skip, end)
