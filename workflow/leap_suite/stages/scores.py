"""Scores of tasks and of their items by lm-evaluation-harness."""

import logging
import statistics
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

from leap_suite.artifacts.items import Items, from_samples
from leap_suite.plan.metrics import DEFAULT
from leap_suite.sources.tasks import build, check_task, commits, leaves, revisions, task_manager

# task of lm-eval, data set, number of items, number of few-shot examples
Asked = tuple[str, str, int, int]


def run_tasks(
    model: Any,
    tokenizer: Any,
    bos: bool,
    settings: Mapping[str, Any],
    miniature_data: Path | None,
) -> tuple[dict[str, dict[str, Any]], Items, dict[str, Any]]:
    """Results by task (scores and chance as fractions), scores of items, and further provenance.

    Tasks share a call of lm-eval where they can. It is `evaluate`, since `simple_evaluate` also
    asks pip for the installed packages, which takes a second.
    """
    from leap_suite.stages.packed import PackedLM

    # no warnings about unused arguments of a loaded model and defaults of definitions
    logging.getLogger("lm_eval").setLevel(logging.ERROR)
    lm = PackedLM(
        model, tokenizer=tokenizer, batch_tokens=settings["batch_tokens"], add_bos_token=bos
    )
    _check_bos(lm, tokenizer, bos)
    manager = task_manager(miniature_data is not None)
    wanted = settings["tasks"]
    of_hub = [] if miniature_data is not None else list(wanted.values())
    loaded = commits(of_hub)
    built: dict[Asked, Any] = {}
    for task in wanted.values():
        if _asked(task) not in built:
            built[_asked(task)] = build(manager, task, miniature_data, loaded.get(task["dataset"]))
        check_task(manager, task, built[_asked(task)])
    logging.getLogger("lm_eval").setLevel(logging.WARNING)
    found: dict[Asked, Mapping[str, Any]] = {}
    for together in _without_repetition(built):
        found |= dict.fromkeys(together, _evaluate(lm, manager, together))
    tasks: dict[str, dict[str, Any]] = {}
    items: Items = {}
    for name, task in wanted.items():
        tasks[name], of_task = _task_result(found[_asked(task)], built[_asked(task)], name, task)
        items |= of_task
    shots = {name: task["fewshot"] for name, task in wanted.items() if "fewshot" in task}
    versions = {"num_fewshot": shots or 0, "datasets": revisions(loaded)}
    return tasks, items, versions


def _asked(task: Mapping[str, Any]) -> Asked:
    """Key of an evaluation, which may give several scores."""
    return task["task"], task["dataset"], task["limit"], task.get("fewshot", 0)


def _without_repetition(built: Mapping[Asked, Any]) -> list[dict[Asked, Any]]:
    """Fewest parts in which no task or subtask of lm-eval is repeated."""
    parts: list[dict[Asked, Any]] = []
    for asked, task in built.items():
        names = {leaf.task_name for leaf in leaves(task)}
        for part in parts:
            if not any(
                leaf.task_name in names for other in part.values() for leaf in leaves(other)
            ):
                part[asked] = task
                break
        else:
            parts.append({asked: task})
    return parts


def _evaluate(lm: Any, manager: Any, built: Mapping[Asked, Any]) -> Mapping[str, Any]:
    import lm_eval

    first: dict[str, range] = {}  # items of each task or subtask; limit 0 means all
    for (*_, limit, _), task in built.items():
        for leaf in leaves(task):
            _without_bootstrap(leaf)
            first[leaf.task_name] = range(len(leaf.eval_docs))[: limit or None]
    results = lm_eval.evaluate(
        lm,
        manager.load(list(built.values())),
        samples=first,
        log_samples=True,
        # means have an analytic standard error; 0 would turn every stderr into N/A
        bootstrap_iters=1,
    )
    assert results is not None, "evaluate returns None on other ranks than 0 only"
    return results


def _without_bootstrap(leaf: Any) -> None:
    """Hide all aggregations but means from lm-eval, which would bootstrap them for minutes."""
    from lm_eval.api.metrics import mean

    given = leaf.aggregation
    leaf.aggregation = lambda: {
        metric: function if function is mean else partial(function)
        for metric, function in given().items()
    }


def _task_result(
    results: Mapping[str, Any], built: Any, column: str, task: Mapping[str, Any]
) -> tuple[dict[str, Any], Items]:
    """Entry of a task in the evaluation, and the scores of its items: in `column`, and those by
    normalised accuracy in `<column>_norm`."""
    name, metric = task["task"], task.get("metric", DEFAULT)
    parts = leaves(built)
    kinds = {sample["filter"] for leaf in parts for sample in results["samples"][leaf.task_name]}
    kind = task.get("filter") or kinds.pop()
    values = {
        key.removesuffix(f",{kind}"): float(value)
        for key, value in results["results"][name].items()
        if key.endswith(f",{kind}") and value != "N/A"
    }
    if metric not in values:
        scores = ", ".join(key for key in values if not key.endswith("_stderr"))
        raise ValueError(f"evaluation.tasks: {name} has no metric {metric}; it has {scores}")
    samples = {
        leaf.task_name: [s for s in results["samples"][leaf.task_name] if s["filter"] == kind]
        for leaf in parts
    }
    result = {
        "task": name,
        **({} if metric == DEFAULT else {"metric": metric}),
        **{
            score: values[score]
            for each in dict.fromkeys((DEFAULT, "acc_norm", metric))
            for score in (each, f"{each}_stderr")
            if score in values
        },
        **({"chance": chance(chain(*samples.values()))} if _has_chance(parts, metric) else {}),
        "samples": sum(results["n-samples"][leaf.task_name]["effective"] for leaf in parts),
        "version": str(results["versions"][name]),
        **({"fewshot": task["fewshot"]} if "fewshot" in task else {}),
    }
    columns = {column: metric} | ({f"{column}_norm": "acc_norm"} if metric != "acc_norm" else {})
    items = {each: from_samples(samples, score, values[score])
             for each, score in columns.items() if score in values}  # fmt: skip
    return result, {each: of for each, of in items.items() if of}


def _has_chance(parts: Sequence[Any], metric: str) -> bool:
    """Whether the score is an accuracy over items with one correct choice each."""
    return metric.startswith("acc") and all(
        leaf.OUTPUT_TYPE == "multiple_choice"
        and not leaf.multiple_target
        and leaf.config.process_results is None
        for leaf in parts
    )


def chance(samples: Iterable[Mapping[str, Any]]) -> float:
    """Accuracy, as a fraction, of a uniform guess among the choices of each sample.

    lm-eval has one request per choice, two for acc_mutual_info. Items of a task may differ in their
    number of choices, such as 3, 4 or 5 in ARC.
    """
    return statistics.fmean(
        (2 if "acc_mutual_info" in sample["metrics"] else 1) / len(sample["arguments"])
        for sample in samples
    )


def _check_bos(lm: Any, tokenizer: Any, bos: bool) -> None:
    begins = lm.tok_encode("the")[:1] == [tokenizer.bos_token_id]
    if begins != bos:
        raise ValueError(
            f"the model's `bos` is {bos}, but lm-eval encodes texts otherwise: scores would not be "
            "comparable with the calibration"
        )
