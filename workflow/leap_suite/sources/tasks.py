"""Tasks of lm-evaluation-harness, with data from the Hub, a mirror or the miniature world."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from leap_suite.miniature.tasks import DEFINITIONS
from leap_suite.sources.hub import (
    UNKNOWN,
    cache_of,
    commit_of,
    locate,
    mirror,
    reaching,
    refuse_damage,
)
from leap_suite.sources.lm_eval_tasks import refusals
from leap_suite.sources.prefetched import task_folder

_SEED = 1234  # of few-shot examples; lm-eval's own


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
    cache: str | None = None,
) -> Any:
    """A task, or a group with its subtasks, with data from the mirror, prefetched or of the Hub.

    `revision` is the commit of the data set (None: the newest), and `cache` replaces the cache of
    `datasets`. Raises ValueError for an unknown task or data set, and if lm-eval cannot make the
    task of this data set.
    """
    name, dataset = task["task"], task["dataset"]
    if name not in manager.task_index:
        raise ValueError(f"evaluation.tasks: lm-eval has no task {name!r}")
    entry = manager.task_index[name]
    given: dict[str, Any] = dict((entry.cfg or {}).get("dataset_kwargs") or {})
    overrides: dict[str, Any] = {"num_fewshot": task.get("fewshot", 0)}
    if miniature_data:
        # the file by name: a folder's would be searched for by patterns, which takes 0.2 s a task
        items = {"test": str((miniature_data / dataset / "test.jsonl").resolve())}
        overrides |= {"dataset_path": "json", "dataset_kwargs": {"data_files": items}}
    elif folder := _local_folder(task, revision):
        given["cache_dir"] = cache_of(folder)
        overrides |= {"dataset_path": folder, "dataset_kwargs": given}
    elif revision:
        given |= {"revision": revision, "cache_dir": cache or cache_of(dataset, revision)}
        overrides |= {"dataset_path": dataset, "dataset_kwargs": given}
    with reaching(dataset), _in_one_line(f"lm-eval cannot make {name} of {dataset}"):
        # the public entry points offer no override for a registered group's subtasks
        built = manager._factory.build(entry, registry=manager.task_index, overrides=overrides)
    if isinstance(built, list):
        raise ValueError(f"evaluation.tasks: {name} has no score of its own in lm-eval")
    for leaf in leaves(built):
        leaf.set_fewshot_seed(_SEED)
    return built


@contextmanager
def _in_one_line(what: str) -> Iterator[None]:
    """Replace an error of a library by one line, unless the network may be its cause."""
    try:
        yield
    except OSError:
        raise
    except Exception as error:
        said = str(error).partition("\n")[0]
        raise ValueError(f"{what}: {type(error).__name__}: {said}") from error


def check_task(manager: Any, task: Mapping[str, Any], built: Any) -> None:
    """Raise ValueError if a built task cannot be evaluated as set.

    Its own definition was checked before the first job; the definitions of a group's subtasks and
    the number of few-shot examples are known only here.
    """
    index, fewshot, parts = manager.task_index, task.get("fewshot", 0), leaves(built)
    names = dict.fromkeys([task["task"], *(leaf.task_name for leaf in parts)])
    definitions = [index[name].cfg for name in names if name in index]
    for definition in definitions:
        for setting, problem in refusals(task, definition):
            raise ValueError(f"evaluation.tasks: {setting} of {task['task']}: {problem}")
    read = {part.get("dataset_path") for part in definitions if "group" not in part}
    if len(read) > 1:
        raise ValueError(
            f"evaluation.tasks: {task['task']} has tasks of several data sets, of which one is "
            "set: name its tasks instead"
        )
    for leaf in parts if fewshot else []:
        # one more is drawn where the item itself may be among them
        spare = leaf.fewshot_cfg.split == leaf.config.test_split
        if fewshot + spare > len(leaf.sampler.df):
            raise ValueError(
                f"evaluation.tasks: fewshot of {task['task']}: {leaf.task_name} has "
                f"{len(leaf.sampler.df)} solved items: lower it"
            )


def commits(tasks: Iterable[Mapping[str, Any]]) -> dict[str, str | None]:
    """Commit to load of each data set of the tasks, looked up once."""
    pinned = {task["dataset"]: task.get("revision") for task in tasks}
    return {dataset: commit_of(dataset, revision) for dataset, revision in pinned.items()}


def revisions(loaded: Mapping[str, str | None]) -> dict[str, str]:
    """Provenance of the data sets of tasks that were built with these commits."""
    return {dataset: commit or UNKNOWN for dataset, commit in loaded.items()}


def leaves(task: Any) -> list[Any]:
    """Subtasks of a group, or the task itself."""
    return task.get_all_tasks() if hasattr(task, "get_all_tasks") else [task]


def _local_folder(task: Mapping[str, Any], revision: str | None) -> str | None:
    """Folder of a task's data set: the mirror's, or what was prefetched at this commit."""
    if mirror() is not None:
        return locate(task["dataset"])
    folder = task_folder(task, revision)
    if folder is None:
        return None
    refuse_damage(folder)
    return str(folder)
