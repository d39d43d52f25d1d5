"""Prefetched texts, tasks and wheels, in the assets of the Hub's cache.

HF_HOME/assets/leap-suite/
  texts/<owner>--<name>/<configuration>-<split>-<column>@<commit>.jsonl   {"text": ...}, one per row
  texts/...@<commit>.json                      number of rows, whether these are all, SHA-256
  tasks/<owner>--<name>/<task>@<commit>.json   files of the data set in the Hub's cache
  pypi/                                        wheels
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

from leap_suite.artifacts.files import read_json, sha256, write_json
from leap_suite.sources.hub import snapshot


def folder(kind: str, dataset: str = "") -> Path:
    """Folder of `texts`, `tasks` or `pypi`."""
    from huggingface_hub import constants

    return Path(constants.HF_ASSETS_CACHE, "leap-suite", kind, dataset.replace("/", "--"))


def rows_file(text: Mapping[str, Any], commit: str) -> Path:
    """File of the rows of a text (`hub`, `name`, `split`, `column`) at a commit."""
    parts = (text["name"] or "default", text["split"], quote(text["column"], safe=""))
    return folder("texts", text["hub"]) / f"{'-'.join(parts)}@{commit}.jsonl"


def record_rows(file: Path, rows: int, wanted: int) -> None:
    """Record a written file of rows, of which `wanted` were requested (0: all of the split)."""
    about = {"rows": rows, "all": not wanted or rows < wanted, "sha256": sha256(file)}
    write_json(file.with_suffix(".json"), about)


def has_rows(text: Mapping[str, Any], commit: str, wanted: int) -> bool:
    """Whether the first `wanted` rows (0: all) of a text at a commit are prefetched."""
    file = rows_file(text, commit)
    if not (file.is_file() and file.with_suffix(".json").is_file()):
        return False
    about = read_json(file.with_suffix(".json"))
    return about["all"] or 0 < wanted <= about["rows"]


def intact_rows(text: Mapping[str, Any], commit: str) -> Path:
    """File of prefetched rows. Raises ValueError if it is damaged."""
    file = rows_file(text, commit)
    if sha256(file) != read_json(file.with_suffix(".json"))["sha256"]:
        raise ValueError(f"{file} is damaged: delete it and run `snakemake prefetch`")
    return file


def record_task(task: Mapping[str, Any], commit: str, files: list[str]) -> None:
    """Record the files in the Hub's cache that a task reads."""
    write_json(_record_of(task, commit), {"files": files})


def task_folder(task: Mapping[str, Any], commit: str | None) -> Path | None:
    """Snapshot of the data set of a task that was prefetched at a commit, or None if it was not."""
    if commit is None or not _record_of(task, commit).is_file():
        return None
    files = read_json(_record_of(task, commit))["files"]
    try:
        found = snapshot(task["dataset"], commit, (), "dataset", offline=True)
    except ValueError:
        return None
    return found if all((found / name).is_file() for name in files) else None


def _record_of(task: Mapping[str, Any], commit: str) -> Path:
    return folder("tasks", task["dataset"]) / f"{quote(task['task'], safe='')}@{commit}.json"
