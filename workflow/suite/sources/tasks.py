"""Tasks of lm-evaluation-harness, with their data from the hub, a mirror or the miniature world."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from suite.miniature.tasks import DEFINITIONS
from suite.sources.hub import cache_of, locate, mirror, reaching
from suite.sources.lm_eval_tasks import refusals
from suite.sources.mirror.manifest import splits_of
from suite.sources.revisions import recorded, to_load

_SEED = 1234  # draws solved items; lm-eval's own


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
    ValueError where there is no such task or data set, or lm-eval cannot make the one of the other.
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
    elif mirror() is not None:
        folder = locate(dataset)
        given["cache_dir"] = cache_of(folder)
        overrides |= {"dataset_path": folder, "dataset_kwargs": given}
    elif revision:
        given["revision"] = revision
        overrides |= {"dataset_path": dataset, "dataset_kwargs": given}
    with reaching(dataset), _in_one_line(f"lm-eval cannot make {name} of {dataset}"):
        # the public entry points offer no override for a registered group's subtasks
        built = manager._factory.build(entry, registry=manager.task_index, overrides=overrides)
    if isinstance(built, list):
        raise ValueError(f"evaluation.tasks: {name} has no score of its own in lm-eval")
    if revision and mirror() is None:
        _check_commit(built, dataset, revision)
    for leaf in leaves(built):
        leaf.set_fewshot_seed(_SEED)
    return built


@contextmanager
def _in_one_line(what: str) -> Iterator[None]:
    """Say of an error what it means for the user, unless it may be the network's."""
    try:
        yield
    except OSError:
        raise
    except Exception as error:
        said = str(error).partition("\n")[0]
        raise ValueError(f"{what}: {type(error).__name__}: {said}") from error


def check_task(manager: Any, task: Mapping[str, Any], built: Any) -> None:
    """Raise ValueError where a built task cannot be asked as its settings say.

    What its definition tells was said before the first job; of a group those of its subtasks are
    known here only, and how many solved items there are.
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
