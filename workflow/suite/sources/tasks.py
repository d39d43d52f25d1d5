"""Tasks of lm-evaluation-harness, with their data from the hub, a mirror or the miniature world."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from suite.miniature.tasks import DEFINITIONS
from suite.sources.hub import cache_of, locate, mirror, reaching
from suite.sources.mirror.manifest import splits_of
from suite.sources.revisions import recorded, to_load


def task_manager(miniature: bool) -> Any:
    """lm-eval's index of its own tasks, or of the miniature ones."""
    from lm_eval.tasks import TaskManager

    return TaskManager(
        include_path=str(DEFINITIONS) if miniature else None, include_defaults=not miniature
    )


def build(
    manager: Any,
    task: Mapping[str, Any],
    miniature_data: Path | None = None,
    revision: str | None = None,
) -> Any:
    """A task, or a group with its subtasks, that reads its data from the mirror if there is one.

    `revision` is the commit of the data set on the hub, if it is not to be the newest. Raises
    ValueError where there is no such task or data set.
    """
    if task["task"] not in manager.task_index:
        raise ValueError(f"evaluation.tasks: lm-eval has no task {task['task']!r}")
    overrides: dict[str, Any] = {"num_fewshot": 0}
    if miniature_data:
        # the file by name: a folder's would be searched for by patterns, which takes 0.2 s a task
        items = {"test": str((miniature_data / task["dataset"] / "test.jsonl").resolve())}
        overrides |= {"dataset_path": "json", "dataset_kwargs": {"data_files": items}}
    elif mirror() is not None:
        folder = locate(task["dataset"])
        overrides |= {"dataset_path": folder, "dataset_kwargs": {"cache_dir": cache_of(folder)}}
    elif revision:
        overrides |= {"dataset_path": task["dataset"], "dataset_kwargs": {"revision": revision}}
    with reaching(task["dataset"]):
        # the public entry points offer no override for a registered group's subtasks
        built = manager._factory.build(
            manager.task_index[task["task"]], registry=manager.task_index, overrides=overrides
        )
    if revision and mirror() is None:
        _check_commit(built, task["dataset"], revision)
    return built


def commits(tasks: Iterable[Mapping[str, Any]]) -> dict[str, str | None]:
    """The commit to load of the tasks' data sets, each looked up once."""
    pinned = {task["dataset"]: task.get("revision") for task in tasks}
    return {dataset: to_load(dataset, revision) for dataset, revision in pinned.items()}


def revisions(
    tasks: Iterable[Mapping[str, Any]], loaded: Mapping[str, str | None]
) -> dict[str, str]:
    """What to record of the tasks' data sets after they were built with the commits `loaded`."""
    root = mirror()
    splits: dict[str, list[str]] = {}
    for task in tasks:
        # a task that the mirror's manifest does not know leaves the revision unknown
        listed = (splits_of(root, task) if root else []) or [f"{task['dataset']}/"]
        splits.setdefault(task["dataset"], []).extend(listed)
    return {dataset: recorded(loaded[dataset], prefixes) for dataset, prefixes in splits.items()}


def leaves(task: Any) -> list[Any]:
    """The subtasks of a group, or the task itself."""
    return task.get_all_tasks() if hasattr(task, "get_all_tasks") else [task]


def _check_commit(task: Any, dataset: str, revision: str) -> None:
    """Without network `datasets` takes what it has cached, of whatever commit."""
    for leaf in leaves(task):
        for split in leaf.dataset.values():
            # datasets/<dataset>/<configuration>/<version>/<commit>/<file>
            found = {Path(file["filename"]).parent.name for file in split.cache_files}
            if found - {revision}:
                raise ValueError(
                    f"{dataset}: the hub cannot be reached, and revision {found.pop()} is cached, "
                    f"not {revision}: run once where there is network access, or set hub_mirror"
                )
