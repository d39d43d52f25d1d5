"""Tasks of lm-evaluation-harness, with their data from the hub, a mirror or the miniature world."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from suite.miniature.tasks import DEFINITIONS
from suite.sources.hub import cache_of, locate, mirror, reaching


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

    `revision` is the commit of the data set on the hub, if it is not to be the newest.
    """
    if task["task"] not in manager.task_index:
        raise ValueError(f"evaluation.tasks: lm-eval has no task {task['task']!r}")
    overrides: dict[str, Any] = {"num_fewshot": 0}
    if miniature_data:
        overrides["dataset_path"] = str((miniature_data / task["dataset"]).resolve())
    elif mirror() is not None:
        folder = locate(task["dataset"])
        overrides |= {"dataset_path": folder, "dataset_kwargs": {"cache_dir": cache_of(folder)}}
    elif revision:
        overrides |= {"dataset_path": task["dataset"], "dataset_kwargs": {"revision": revision}}
    with reaching(task["dataset"]):
        # the public entry points offer no override for a registered group's subtasks
        return manager._factory.build(
            manager.task_index[task["task"]], registry=manager.task_index, overrides=overrides
        )


def leaves(task: Any) -> list[Any]:
    """The subtasks of a group, or the task itself."""
    return task.get_all_tasks() if hasattr(task, "get_all_tasks") else [task]
