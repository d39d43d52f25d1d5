"""A mirror's manifest.json, by which its files are known to be whole.

files    path below the mirror -> size, sha256
fetched  how the paths of its files begin -> id, revision, date, and rows of a split
tasks    name of a task -> data set, and the splits in `fetched` that it reads
"""

import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from suite.artifacts.files import read_json, sha256, write_json

MANIFEST = "manifest.json"


def split_prefix(dataset: str, name: str | None, split: str) -> str:
    """How the paths of a split's files begin below a mirror; without a name it is the default."""
    return f"{dataset}/{name or 'default'}/{split}-"


def read(root: Path) -> dict[str, dict[str, Any]]:
    """The manifest; an empty one where the mirror has none."""
    file = root / MANIFEST
    return read_json(file) if file.is_file() else {"files": {}, "fetched": {}, "tasks": {}}


def damage(root: Path, prefix: str, hashes: bool) -> Iterator[str]:
    """One line for each file below `prefix` that is not as listed; SHA-256 only with `hashes`."""
    for path, expected in read(root)["files"].items():
        if not path.startswith(prefix):
            continue
        file = root / path
        if not file.is_file():
            reason = "missing"
        elif file.stat().st_size != expected["size"]:
            reason = "wrong size"
        elif hashes and sha256(file) != expected["sha256"]:
            reason = "wrong SHA-256"
        else:
            continue
        yield f"{file} is damaged or incomplete ({reason}): run `snakemake prefetch` again"


def is_whole(root: Path, prefix: str) -> bool:
    """Whether it was fetched and every file of it is still as it was."""
    return prefix in read(root)["fetched"] and not any(damage(root, prefix, hashes=True))


def revision(root: Path, prefixes: Iterable[str]) -> str | None:
    """The commit that these were fetched at; several joined by commas, None if any is unknown."""
    fetched = read(root)["fetched"]
    found = {fetched.get(prefix, {}).get("revision") for prefix in prefixes}
    known = {commit for commit in found if commit}
    return ", ".join(sorted(known)) if known and known == found else None


def is_another(held: str | None, wanted: str | None) -> bool:
    """Whether a commit is known not to be the wanted one (None: unknown, and any)."""
    return None not in (held, wanted) and held != wanted


def splits_of(root: Path, task: Mapping[str, Any]) -> list[str]:
    """The splits that a task reads, as prefixes of paths; none where it is not listed."""
    listed = read(root)["tasks"].get(task["task"], {})
    return listed["splits"] if listed.get("dataset") == task["dataset"] else []


def covers(about: Mapping[str, Any], rows: int) -> bool:
    """Whether a fetched split has this many rows (0: all of them)."""
    return about["all"] or 0 < rows <= about["rows"]


def record(root: Path, prefix: str, files: Iterable[Path], about: Mapping[str, Any]) -> None:
    """List what was fetched, with its files, in place of what was listed below `prefix`."""
    manifest = read(root)
    others = {k: v for k, v in manifest["files"].items() if not k.startswith(prefix)}
    manifest["files"] = others | _listed(root, files)
    manifest["fetched"][prefix] = {**about, "date": time.strftime("%Y-%m-%d")}
    write_json(root / MANIFEST, manifest)


def record_task(root: Path, task: Mapping[str, Any], splits: list[str]) -> None:
    """List a task whose splits are all recorded."""
    manifest = read(root)
    manifest["tasks"][task["task"]] = {"dataset": task["dataset"], "splits": splits}
    write_json(root / MANIFEST, manifest)


def record_files(root: Path, files: Iterable[Path]) -> None:
    """List files that were made here and not fetched."""
    manifest = read(root)
    manifest["files"] |= _listed(root, files)
    write_json(root / MANIFEST, manifest)


def _listed(root: Path, files: Iterable[Path]) -> dict[str, dict[str, Any]]:
    return {
        file.relative_to(root).as_posix(): {"size": file.stat().st_size, "sha256": sha256(file)}
        for file in files
    }
