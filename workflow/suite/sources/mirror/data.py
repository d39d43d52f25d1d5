"""Data sets of texts and tasks in a mirror, as Parquet files with a card that lists them.

<owner>/<name>/README.md                                configurations, splits, files
<owner>/<name>/<configuration>/<split>-<number>.parquet
"""

import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from suite.jobs.job import progress
from suite.sources import texts
from suite.sources.hub import mirror, reaching
from suite.sources.mirror import manifest as mirror_manifest
from suite.sources.mirror.manifest import split_prefix
from suite.sources.revisions import to_load
from suite.sources.tasks import build, commits, leaves, task_manager

if TYPE_CHECKING:
    from datasets import Dataset, IterableDataset

ROWS = 10_000  # in one file


def fetch_text(text: Mapping[str, Any], target: Path) -> None:
    """The first `rows` rows (0: all) of a split at its revision, unless they are there."""
    dataset, name, split, rows = (text[key] for key in ("dataset", "name", "split", "rows"))
    if _holds(target, split_prefix(dataset, name, split), rows, text["revision"]):
        return
    revision = to_load(dataset, text["revision"])
    with reaching(dataset):
        stream = texts.rows(dataset, name, split, revision)
        shards = _streamed(stream.take(rows) if rows else stream)
        _write(shards, target, (dataset, name, split), revision, rows)


def fetch_tasks(tasks: Sequence[Mapping[str, Any]], target: Path) -> None:
    """The splits that lm-eval reads to build and run these tasks, unless they are there."""
    wanted = [task for task in tasks if not _holds_task(target, task)]
    if not wanted:
        return
    manager = task_manager(miniature=False)
    loaded = commits(wanted)
    for task in progress(wanted, "Fetching tasks"):
        dataset, revision = task["dataset"], loaded[task["dataset"]]
        prefixes = []
        for leaf in leaves(build(manager, task, revision=revision)):
            name = leaf.config.dataset_name
            for split in _splits(leaf):
                prefixes.append(split_prefix(dataset, name, split))
                if not _holds(target, prefixes[-1], 0, task["revision"]):
                    shards = _cut(leaf.dataset[split])
                    _write(shards, target, (dataset, name, split), revision, 0)
        mirror_manifest.record_task(target, task, prefixes)


def _splits(leaf: Any) -> list[str]:
    """The splits of a task that its definition names and its data set has."""
    named = {getattr(leaf.config, f"{kind}_split") for kind in ("training", "validation", "test")}
    named.add(leaf.fewshot_cfg.split)
    return [split for split in leaf.dataset if split in named]


def _write(
    shards: "Iterable[Dataset]",
    target: Path,
    place: tuple[str, str | None, str],
    revision: str | None,
    wanted: int,
) -> None:
    """Write a split's files, then put them in the place of older ones, then list them."""
    from datasets.utils.logging import disable_progress_bar

    disable_progress_bar()
    dataset, name, split = place
    prefix = split_prefix(*place)
    folder, start = target / Path(prefix).parent, Path(prefix).name
    rows = 0
    with tempfile.TemporaryDirectory(dir=target, prefix=".prefetch-") as temporary:
        for number, shard in enumerate(progress(shards, f"Fetching {prefix}")):
            file = Path(temporary) / f"{start}{number:05d}.parquet"
            shard.to_parquet(file)
            rows += len(shard)
        folder.mkdir(parents=True, exist_ok=True)
        for older in folder.glob(f"{start}*.parquet"):
            older.unlink()
        written = sorted(Path(temporary).iterdir())
        files = [Path(shutil.move(file, folder / file.name)) for file in written]
    about = {
        "id": dataset,
        "name": name or "default",
        "split": split,
        "rows": rows,
        "all": not wanted or rows < wanted,
        "revision": revision or _revision_in_mirror(prefix),
    }
    mirror_manifest.record(target, prefix, files, about)


def _streamed(stream: "IterableDataset") -> "Iterator[Dataset]":
    from datasets import Dataset

    features = stream.features
    for batch in stream.iter(batch_size=ROWS):
        shard = Dataset.from_dict(batch, features=features)
        features = shard.features  # one schema for all files
        yield shard


def _cut(rows: "Dataset") -> "list[Dataset]":
    starts = range(0, len(rows), ROWS)
    return [rows.select(range(start, min(start + ROWS, len(rows)))) for start in starts]


def _holds(target: Path, prefix: str, rows: int, revision: str | None) -> bool:
    about = mirror_manifest.read(target)["fetched"].get(prefix)
    if about is None or mirror_manifest.is_another(about["revision"], revision):
        return False
    return mirror_manifest.covers(about, rows) and mirror_manifest.is_whole(target, prefix)


def _holds_task(target: Path, task: Mapping[str, Any]) -> bool:
    splits = mirror_manifest.splits_of(target, task)
    return bool(splits) and all(_holds(target, prefix, 0, task["revision"]) for prefix in splits)


def _revision_in_mirror(prefix: str) -> str | None:
    root = mirror()
    return mirror_manifest.revision(root, [prefix]) if root else None
