"""Preflight check of a run from a mirror, or offline from the cache of HF_HOME."""

from collections.abc import Collection, Mapping
from typing import Any

from leap_suite.plan.downloads import of_hub
from leap_suite.sources.hub import checkpoint, commit_of, locate, mirror
from leap_suite.sources.prefetched import has_rows, task_folder
from leap_suite.sources.pypi import find_wheel, wheels_of


def missing(settings: Mapping[str, Any], rules: Collection[str]) -> list[str]:
    """One line for each download that jobs of these rules need and that is not available.

    Empty if the Hub may be used: without a mirror and without HF_HUB_OFFLINE. Contents are
    verified later, by the jobs that read them.
    """
    downloads = of_hub(settings)
    if not any(downloads.values()):
        return []
    from huggingface_hub.constants import HF_HUB_OFFLINE

    if not (mirror() or HF_HUB_OFFLINE):
        return []
    lines = []
    for rule, kind, check in (
        ("model", "models", _check_model),
        ("corpus", "texts", _check_text),
        ("evaluate", "tasks", _check_task),
    ):
        for wanted in downloads[kind] if rule in rules else []:
            try:
                check(wanted)
            except ValueError as error:
                lines.append(str(error))
    return list(dict.fromkeys(lines))


def _check_model(source: Mapping[str, Any]) -> None:
    if "hub" in source:
        checkpoint(source["hub"], offline=True)
    elif not mirror():
        for wheel in wheels_of(source["pypi"]):
            if not find_wheel(wheel):
                raise _absent(f"the wheel of {wheel['package']} {wheel['version']}")


def _check_text(text: Mapping[str, Any]) -> None:
    place = f"{text['hub']} ({text['name'] or 'default'}, {text['split']})"
    if mirror():
        locate(text["hub"])
        return
    commit = commit_of(text["hub"], text["revision"])
    if commit is None or not has_rows(text, commit, text["rows"]):
        raise _absent(f"{place} with {text['rows'] or 'all'} rows")


def _check_task(task: Mapping[str, Any]) -> None:
    if mirror():
        locate(task["dataset"])
    elif not task_folder(task, commit_of(task["dataset"], task["revision"])):
        raise _absent(f"{task['dataset']} for the task {task['task']}")


def _absent(what: str) -> ValueError:
    return ValueError(
        f"HF_HUB_OFFLINE is set, and the cache in HF_HOME has no {what}: run "
        "`snakemake --cores 1 prefetch` with these settings where there is network access"
    )
