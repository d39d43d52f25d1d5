"""Tasks of the evaluation: what of their settings decides scores, and how scores are shown."""

from collections.abc import Iterator, Mapping
from typing import Any

from suite.plan.metrics import DEFAULT, is_share

Task = Mapping[str, Any]  # an entry of `evaluation.tasks`

_SHOWN = ("title", "averaged")
_DEFAULTS = {"fewshot": 0, "metric": DEFAULT}
# names of what results have beside the scores of tasks
_TAKEN = (
    "average", "ppl", "in_domain_ppl", "validation_ppl", "recovered_share", "achieved_sparsity",
    "wall_seconds", "cpu_seconds", "training_seconds", "peak_bytes", "peak_gpu_bytes",
    "model", "method", "implementation", "pattern", "sparsity", "seed", "tasks", "control",
    "dtype", "asked_dtype", "versions", "pruning_dtype", "hardening_versions", "device", "commit",
)  # fmt: skip


def asked(task: Task) -> dict[str, Any]:
    """The settings that decide the scores, without those that are as if they were not set."""
    return {
        key: value
        for key, value in task.items()
        if key not in _SHOWN and _DEFAULTS.get(key) != value
    }


def title(name: str, task: Task) -> str:
    """The heading of the task that is called `name`."""
    return task.get("title", name)


def is_averaged(task: Task) -> bool:
    """Whether its score counts in the average: that of a share of correct items, unless said."""
    return task.get("averaged", is_share(task.get("metric", DEFAULT)))


def shown(settings: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """How every task is shown, by name: its title, and whether it counts in the average."""
    return {
        name: {"title": title(name, task), "averaged": is_averaged(task)}
        for name, task in settings["evaluation"]["tasks"].items()
    }


def problems(settings: Mapping[str, Any]) -> Iterator[str]:
    """Tasks that cannot stand beside each other, or not in an average, one line each."""
    tasks = settings["evaluation"]["tasks"]
    revisions: dict[str, Any] = {}
    titles: dict[str, str] = {}
    for name, task in tasks.items():
        place, metric = f"evaluation.tasks.{name}", task.get("metric", DEFAULT)
        if name in _TAKEN or name.removesuffix("_norm") in tasks.keys() - {name}:
            yield f"{place}: results call something else {name}; take another name"
        # results name one revision of every data set
        if revisions.setdefault(task["dataset"], task.get("revision")) != task.get("revision"):
            yield (
                f"{place}.revision: {task['dataset']} has another revision in another task; set "
                "one for both"
            )
        if (other := titles.setdefault(title(name, task), name)) != name:
            yield f"{place}.title: {title(name, task)} is the heading of {other}; take another"
        if task.get("averaged") and not is_share(metric):
            yield (
                f"{place}.averaged: {metric} is no share of correct items, which alone can be "
                "averaged; leave it out"
            )
    if not any(map(is_averaged, tasks.values())):
        yield (
            "evaluation.tasks: none counts in the average; add one whose metric is a share of "
            "correct items, such as acc, or leave out `averaged: false`"
        )
