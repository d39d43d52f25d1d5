"""The miniature world on disk: three texts and the six tasks."""

import json
from collections.abc import Iterable
from itertools import islice
from pathlib import Path

from leap_suite.artifacts.files import replacing, sha256, write_json
from leap_suite.miniature.tasks import write_tasks
from leap_suite.miniature.text import held_out_documents, training_documents
from leap_suite.miniature.world import build_world


def write_world(
    directory: Path, training_count: int = 30_000, held_out_count: int = 500, seed: int = 1
) -> None:
    """Write `directory`: text/{train,held_out,validation}.jsonl and tasks/<task>/test.jsonl.

    `world.json`, written last, has the SHA-256 of every other file. Counts are of documents with
    about 34 tokens; the validation text, for choosing settings, has as many as the held-out text
    for the reported perplexity, and no document occurs in two texts. The folder is replaced whole
    or not at all.
    """
    world = build_world()
    with replacing(directory) as built:
        (built / "text").mkdir(parents=True)
        _write_text(built / "text/train.jsonl", training_documents(world, training_count, seed))
        held_out = list(held_out_documents(world, held_out_count, seed))
        others = (d for d in held_out_documents(world, 10**9, seed + 1) if d not in held_out)
        _write_text(built / "text/held_out.jsonl", held_out)
        _write_text(built / "text/validation.jsonl", islice(others, held_out_count))
        write_tasks(built / "tasks", seed, world)
        files = sorted(file for file in built.rglob("*") if file.is_file())
        hashes = {file.relative_to(built).as_posix(): sha256(file) for file in files}
        write_json(built / "world.json", {"files_sha256": hashes})


def _write_text(path: Path, documents: Iterable[str]) -> None:
    path.write_text("".join(json.dumps({"text": text}) + "\n" for text in documents), "utf-8")
