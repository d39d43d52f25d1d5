"""Results for tests: the files that jobs leave of cells, from a line each, and what is collected.

results([ran("dense", 0.8), ran("wanda", 0.5, ppl=12), ran("leap", seed=1, right=answers)])
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from suite.artifacts.files import read_json, write_json
from suite.artifacts.items import write_items
from suite.plan.cell import DENSE, Cell
from suite.results.collect import Files, Shown, collect
from suite.results.frame import Results

Tasks = Mapping[str, Mapping[str, Any]]
Ran = dict[str, Any]

COUNT = 100  # of a task's items
TITLES = {"piqa": "PIQA", "arc_easy": "ARC-E", "arc_challenge": "ARC-C", "winogrande": "WinoG.",
          "openbookqa": "OBQA", "mmlu": "MMLU"}  # fmt: skip
TASKS: Tasks = {name: {"title": title} for name, title in TITLES.items()}
CHANCES = dict(zip(TASKS, (0.5, 0.25, 0.25, 0.5, 0.25, 0.25), strict=True))
WITH_CHANCE: Tasks = {name: {**TASKS[name], "chance": CHANCES[name]} for name in TASKS}
GENERATED: Tasks = {name: {**task, "task": f"mini_{name}"} for name, task in TASKS.items()}
# seven that count, and one that does not
MANY: Tasks = {
    **WITH_CHANCE,
    "gsm8k": {"title": "GSM8K", "metric": "exact_match", "fewshot": 5},
    "lambada": {"title": "LAMBADA", "metric": "perplexity", "averaged": False, "stderr": 0.7},
}
PACKAGES = {"torch": "2.11.0", "transformers": "5.23.0", "lm-eval": "0.4.13"}


def ran(
    method: str,
    acc: float | Sequence[float] = 0.5,
    ppl: float = 10.0,
    sparsity: str = "0.5",
    model: str = "m",
    seed: int = 0,
    right: Sequence[Sequence[float]] | None = None,
    **more: Any,
) -> Ran:
    """A cell with the share `acc` of right items, of all tasks or of each.

    `right` has the score of every item by task instead. `more`: `in_domain`, `implementation`,
    `achieved` (sparsity), and `wall`, `cpu` and `trained` (seconds).
    """
    cell = Cell.dense(model) if method == DENSE else Cell(model, method, sparsity, seed)
    return {"cell": cell, "acc": acc, "ppl": ppl, "right": right, **more}


def results(cells: Iterable[Ran], tasks: Tasks = TASKS, patterns: Any = None) -> Results:
    """What is collected of their files."""
    with TemporaryDirectory() as folder:
        return collect(write(Path(folder), cells, tasks), Shown(tasks, patterns or {}))


def write(folder: Path, cells: Iterable[Ran], tasks: Tasks = TASKS) -> dict[str, Files]:
    """The files of these cells, by the path of each."""
    return {str(cell["cell"].path): _write(folder, cell, tasks) for cell in cells}


def edit(file: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Change what a JSON file says."""
    content = read_json(file)
    change(content)
    write_json(file, content)


def printed(markdown: str) -> list[list[str]]:
    """The cells of all tables' rows in Markdown, without headings."""
    without = re.sub(r"^.*\n\| -.*\n", "", markdown, flags=re.M)
    return [line.strip("| ").split(" | ") for line in without.splitlines() if line.startswith("|")]


def _write(folder: Path, made: Ran, tasks: Tasks) -> Files:
    cell, acc = made["cell"], made["acc"]
    shares = list(acc) if isinstance(acc, Sequence) else [acc] * len(tasks)
    # unless they are given, the first items are right, about so many
    answers = made["right"] or [[int(n < round(s * COUNT)) for n in range(COUNT)] for s in shares]
    if made["right"]:
        shares = [sum(of_task) / len(of_task) for of_task in answers]
    scores = {
        name: _result(name, tasks[name], share, len(of_task))
        for name, share, of_task in zip(tasks, shares, answers, strict=True)
    }
    evaluation = folder / "evaluations" / f"{cell.path}.json"
    write_json(evaluation, _evaluation(made, scores))
    items = folder / "items" / f"{cell.path}.csv.gz"
    of_tasks = zip(tasks, answers, strict=True)
    write_items({name: {name: dict(enumerate(of_task))} for name, of_task in of_tasks}, items)
    if cell.method == DENSE:
        return Files(evaluation, items)
    manifest = folder / "hardened" / cell.path / "manifest.json"
    cost = {"wall_time_seconds": made.get("wall", 10.0), "cpu_seconds": made.get("cpu", 20.0)}
    cost |= {"training_seconds": made["trained"]} if "trained" in made else {}
    pruning = {"dtype": "bfloat16", "device": "cpu", "cost": cost}
    write_json(manifest, {"pruning": pruning, "packages": PACKAGES})
    return Files(evaluation, items, manifest)


def _result(name: str, task: Mapping[str, Any], share: float, count: int) -> dict[str, Any]:
    metric = task.get("metric", "acc")
    return {
        "task": task.get("task", name),
        metric: share,
        f"{metric}_stderr": task.get("stderr", 0.03),
        **({} if metric == "acc" else {"metric": metric}),
        **{key: task[key] for key in ("chance", "fewshot", "acc_norm") if key in task},
        "samples": count,
        "version": "1",
    }


def _evaluation(made: Ran, tasks: Mapping[str, Any]) -> dict[str, Any]:
    cell, second = made["cell"], made.get("in_domain")
    masks = {"masks": {"implementation": made.get("implementation", cell.method)}}
    recipe = {"model": {"dtype": "bfloat16"}, "checkpoint": {} if cell.method == DENSE else masks}
    return {
        **asdict(cell),
        "achieved_sparsity": made.get("achieved", cell.target),
        "perplexity": {"value": made["ppl"], "stderr": made["ppl"] / 100},
        **({"in_domain": {"value": second, "stderr": 0.3}} if second else {}),
        "tasks": tasks,
        "provenance": {"recipe": recipe, "dtype": "bfloat16", "device": "cpu", "git_commit": "abc",
                       "packages": PACKAGES},
    }  # fmt: skip
