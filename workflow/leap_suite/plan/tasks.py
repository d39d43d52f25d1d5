"""Tasks of the evaluation: settings that decide scores, and their presentation."""

from collections.abc import Iterator, Mapping
from typing import Any

from leap_suite.plan.metrics import DEFAULT, is_share

Task = Mapping[str, Any]  # an entry of `evaluation.tasks`

_SHOWN = ("title", "averaged")
_DEFAULTS = {"fewshot": 0, "metric": DEFAULT}
# other measures and columns of results
_TAKEN = (
    "average", "ppl", "in_domain_ppl", "validation_ppl", "recovered_share", "achieved_sparsity",
    "wall_seconds", "cpu_seconds", "training_seconds", "peak_bytes", "peak_gpu_bytes",
    "shipped_bytes", "flips", "kl", "in_domain_kl", "average_norm",
    "model", "method", "implementation", "pattern", "sparsity", "seed", "tasks", "control",
    "dtype", "asked_dtype", "versions", "pruning_dtype", "hardening_versions", "device", "commit",
)  # fmt: skip


def asked(task: Task) -> dict[str, Any]:
    """Settings that decide the scores, without those that have their default."""
    return {
        key: value
        for key, value in task.items()
        if key not in _SHOWN and _DEFAULTS.get(key) != value
    }


def shown(settings: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Title of every task, and whether its score counts in the average, by name.

    By default, fractions of correct items count.
    """
    return {
        name: {
            "title": task.get("title", name),
            "averaged": task.get("averaged", is_share(task.get("metric", DEFAULT))),
        }
        for name, task in settings["evaluation"]["tasks"].items()
    }


def problems(settings: Mapping[str, Any]) -> Iterator[str]:
    """Conflicts of names, titles and revisions, and invalid averages, one line each."""
    tasks, presented = settings["evaluation"]["tasks"], shown(settings)
    revisions: dict[str, Any] = {}
    titles: dict[str, str] = {}
    for name, task in tasks.items():
        place, metric = f"evaluation.tasks.{name}", task.get("metric", DEFAULT)
        if name in _TAKEN or name.removesuffix("_norm") in tasks.keys() - {name}:
            yield f"{place}: {name} is the name of another result; rename the task"
        # results have one revision per data set
        data, revision = task["dataset"], task.get("revision")
        if revisions.setdefault(data, revision) != revision:
            yield f"{place}.revision: {data} has another revision in another task; use one for both"
        title = presented[name]["title"]
        if (other := titles.setdefault(title, name)) != name:
            yield f"{place}.title: {title} is the heading of {other}; use another"
        if task.get("averaged") and not is_share(metric):
            yield f"{place}.averaged: {metric} is no fraction of correct items; leave this out"
    if not any(each["averaged"] for each in presented.values()):
        yield (
            "evaluation.tasks: none counts in the average; add one whose metric is a fraction of "
            "correct items, such as acc, or leave out `averaged: false`"
        )
