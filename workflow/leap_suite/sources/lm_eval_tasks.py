"""Validation of task settings against lm-evaluation-harness's definitions, without importing it.

The import takes seconds. A definition is a mapping as in lm-eval's own index: a YAML file merged
with the files it includes, functions being paths. What only code decides is checked by the job.
"""

import difflib
import importlib.util
import os
import re
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from leap_suite.miniature.tasks import DEFINITIONS
from leap_suite.plan.config import scale_settings
from leap_suite.plan.metrics import DEFAULT
from leap_suite.plan.tasks import asked
from leap_suite.plan.validation import ConfigError, Problem
from leap_suite.plan.world import is_generated

Definition = Mapping[str, Any]

_NAMED = re.compile(rb"""^["']?(?:task|group)["']?[ \t]*:[ \t]*["']?([^\s"'#]+)""", re.MULTILINE)


def refuse(settings: Mapping[str, Any]) -> None:
    """Raise ConfigError, one line per mistake, for tasks that lm-eval does not support as set.

    The tasks of scale paper are known to be valid and are not looked up.
    """
    known = scale_settings("paper")["evaluation"]["tasks"]
    lines = []
    for name, task in settings["evaluation"]["tasks"].items():
        other = set(asked(task)) - {"task", "dataset", "revision", "limit"}
        if other or task["task"] != known.get(name, {}).get("task"):
            found = _problems(name, task)
            lines += [f"evaluation.tasks.{name}.{setting}: {problem}" for setting, problem in found]
    if lines:
        raise ConfigError("\n".join(lines))


def _problems(name: str, task: Mapping[str, Any]) -> Iterator[Problem]:
    folder = DEFINITIONS if is_generated(task) else _installed()
    if folder is None:
        return
    files, wanted = _files(folder), task["task"]
    if wanted not in files:
        near = difflib.get_close_matches(wanted, files, n=3)
        hint = f" (did you mean {', '.join(near)}?)" if near else ""
        yield "task", f"lm-eval has no task or group {wanted!r} with a score of its own{hint}"
        return
    if name != wanted and name in files:
        yield "task", f"lm-eval calls another task {name}: call this one {wanted}"
    definition = _definition(wanted, folder)
    if definition is not None:
        yield from refusals(task, definition)


def refusals(task: Mapping[str, Any], definition: Definition) -> Iterator[Problem]:
    """Reasons why a task cannot be evaluated as set, by its definition or that of a subtask."""
    name = definition.get("task")
    if "class" in definition or "custom_dataset" in definition:
        yield "task", f"{name} has its data from code of lm-eval, at no revision that could be kept"
    elif "group" in definition:
        yield from _of_group(task, definition)
    elif definition.get("unsafe_code"):
        yield "task", f"{name} runs what the model writes as a program, which is not safe"
    elif definition.get("doc_to_image") or definition.get("doc_to_audio"):
        yield "task", f"{name} shows images or plays sounds, and models here read text"
    elif _draws(definition.get("generation_kwargs") or {}):
        yield "task", f"{name} has its answers drawn at random, so that no score would be the same"
    else:
        yield from _of_scores(task, definition)
        if task.get("fewshot"):
            yield from _of_examples(task["fewshot"], definition)


def _of_group(task: Mapping[str, Any], definition: Definition) -> Iterator[Problem]:
    group, metric = definition["group"], task.get("metric", DEFAULT)
    listed = definition.get("aggregate_metric_list") or []
    metrics = [each["metric"] for each in ([listed] if isinstance(listed, dict) else listed)]
    if not metrics:
        yield "task", f"{group} is a group without a score of its own: name its tasks"
    elif metric not in metrics:
        yield "metric", _not_among(f"the group {group}", "metric", metric, metrics)


def _of_scores(task: Mapping[str, Any], definition: Definition) -> Iterator[Problem]:
    name, metric, chosen = definition["task"], task.get("metric", DEFAULT), task.get("filter")
    listed = definition.get("metric_list") or []
    metrics = [each["metric"] for each in listed]
    # functions and metrics of another library may give several, under names of their own
    open_ended = any("." in str(each["metric"]) or each.get("hf_evaluate") for each in listed)
    if metrics and not open_ended and metric not in metrics:
        yield "metric", _not_among(name, "metric", metric, metrics)
    filters = [each["name"] for each in definition.get("filter_list") or [{"name": "none"}]]
    if chosen is None and len(filters) > 1:
        yield "filter", f"must be set, since {name} has several: {', '.join(filters)}"
    elif chosen is not None and chosen not in filters:
        yield "filter", _not_among(name, "filter", chosen, filters)


def _of_examples(wanted: int, definition: Definition) -> Iterator[Problem]:
    name, config = definition["task"], definition.get("fewshot_config") or {}
    named = config.get("split", definition.get("fewshot_split"))
    training, validation, test = (
        definition.get(f"{kind}_split") for kind in ("training", "validation", "test")
    )
    # where `named` is `test`, lm-eval itself leaves the item out that is asked
    source, own = named or training or validation or test, test or validation
    samples = None if named else config.get("samples")
    if definition.get("output_type") == "loglikelihood_rolling":
        yield "fewshot", f"{name} is a perplexity of whole texts, before which nothing can stand"
    elif definition.get("num_fewshot") == 0:
        yield "fewshot", f"lm-eval asks {name} without solved items, always: leave it out"
    elif isinstance(samples, list) and len(samples) < wanted:
        yield "fewshot", f"{name} has {len(samples)} solved items: lower it"
    elif samples is None and source == own and named != test:
        yield "fewshot", f"{name} has no solved items but those that it asks: leave it out"


def _draws(generation: Mapping[str, Any]) -> bool:
    return bool(generation.get("do_sample", float(generation.get("temperature") or 0) > 0))


def _not_among(name: str, kind: str, wanted: str, known: list[str]) -> str:
    return f"{name} has no {kind} {wanted}; it has {', '.join(known)}"


@cache
def _installed() -> Path | None:
    """Folder of lm-eval's tasks, or None if lm-eval is not installed beside Snakemake."""
    found = importlib.util.find_spec("lm_eval")
    places = found.submodule_search_locations if found else None
    return Path(places[0]) / "tasks" if places else None


@cache
def _files(folder: Path) -> dict[str, list[Path]]:
    """Files that define tasks and groups, by name, in lm-eval's order."""
    files: dict[str, list[Path]] = {}
    found = (Path(place, name) for place, _, names in os.walk(folder) for name in names)
    for file in sorted(file for file in found if file.suffix == ".yaml"):
        for name in _NAMED.findall(file.read_bytes()):
            files.setdefault(name.decode(), []).append(file)
    return files


def _definition(name: str, folder: Path) -> Definition | None:
    """Definition of a task or group, or None if it cannot be read without lm-eval."""
    for file in _files(folder)[name]:
        try:
            definition = _read(file)
        except (OSError, RecursionError, TypeError, yaml.YAMLError):
            continue
        kind = "group" if "group" in definition and "class" not in definition else "task"
        if definition.get(kind) == name:
            return definition
    return None


def _read(file: Path) -> dict[str, Any]:
    own = yaml.load(file.read_bytes(), Loader=_Loader)
    includes = own.pop("include", [])
    merged: dict[str, Any] = {}
    for include in [includes] if isinstance(includes, str) else includes:
        merged |= _read(file.parent / include)
    return merged | own


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """YAML loader that reads a function as its name, preceded by a slash."""


_Loader.add_constructor("!function", lambda loader, node: f"/{node.value}")
