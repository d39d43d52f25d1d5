"""Results for tests: the files that jobs leave of cells, from a line each, and what is collected.

results([ran("dense", 0.8), ran("wanda", 0.5, ppl=12), ran("leap", seed=1, right=answers)])
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import combinations
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from leap_suite.artifacts.files import read_json, write_json
from leap_suite.plan.cell import DENSE, Cell
from leap_suite.results.frame import Results
from tests.unit.made import Made, collected, made

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

    `right` has the score of every item by task instead, `normed` those of `acc_norm`. `more`:
    `in_domain`, `kl`, `implementation`, `achieved` (sparsity), `wall` and `trained` (seconds), and
    `changes` (the kept weights).
    """
    cell = Cell.dense(model) if method == DENSE else Cell(model, method, sparsity, seed)
    return {"cell": cell, "acc": acc, "ppl": ppl, "right": right, **more}


def results(cells: Iterable[Ran], tasks: Tasks = TASKS, patterns: Any = None) -> Results:
    """What is collected of their files."""
    with TemporaryDirectory() as folder:
        return collected(write(Path(folder), cells, tasks), tasks, patterns)


def write(folder: Path, cells: Iterable[Ran], tasks: Tasks = TASKS) -> Made:
    """The files of these cells, by the path of each."""
    return {path: files for cell in cells for path, files in _write(folder, cell, tasks).items()}


def variance_of_a_lead(*sides: Sequence[np.ndarray]) -> float:
    """Of trainings: slow, of two methods' scores [seeds, tasks, items] of each cell."""
    variance, cells = 0.0, len(sides[0])
    for of_cells in sides:
        found = []
        for first, second in (pair for cell in of_cells for pair in combinations(cell, 2)):
            difference = 100.0 * (first - second)
            errors = difference.var(axis=1, ddof=1) / difference.shape[1] / len(difference) ** 2
            found.append((difference.mean() ** 2 - errors.sum()) / 2)
        # all cells have as many seeds here
        between = max(0.0, float(np.mean(found))) if found else 0.0
        variance += between / len(of_cells[0]) / cells
    return variance


def edit(file: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Change what a JSON file says."""
    content = read_json(file)
    change(content)
    write_json(file, content)


def printed(markdown: str) -> list[list[str]]:
    """The cells of all tables' rows in Markdown, without headings."""
    without = re.sub(r"^.*\n\| -.*\n", "", markdown, flags=re.M)
    return [line.strip("| ").split(" | ") for line in without.splitlines() if line.startswith("|")]


def _write(folder: Path, asked: Ran, tasks: Tasks) -> Made:
    cell, acc, right = asked["cell"], asked["acc"], asked["right"]
    shares = list(acc) if isinstance(acc, Sequence) else [acc] * len(tasks)
    # unless they are given, the first items are right, about so many
    answers = right or [[int(n < round(s * COUNT)) for n in range(COUNT)] for s in shares]
    if right:
        shares = [sum(of_task) / len(of_task) for of_task in answers]
    scores = {
        name: _result(tasks[name], share, len(of_task))
        for name, share, of_task in zip(tasks, shares, answers, strict=True)
    }
    normed = {f"{name}_norm": of for name, of in asked.get("normed", {}).items()}
    for name, of in asked.get("normed", {}).items():
        scores[name]["acc_norm"] = sum(of) / len(of)
    cost = {"wall_time_seconds": asked.get("wall", 10.0), "cpu_seconds": 20.0}
    cost |= {"training_seconds": asked["trained"]} if "trained" in asked else {}
    masks = {"masks": {"implementation": asked.get("implementation", cell.method)}}
    recipe = {"model": {"dtype": "bfloat16"}, "checkpoint": {} if cell.method == DENSE else masks}
    return made(
        folder, cell.model, cell.method, cell.target, cell.seed, tasks=scores,
        answers=dict(zip(tasks, answers, strict=True)) | normed,
        ppl=asked["ppl"], kl=asked.get("kl"),
        achieved=asked.get("achieved"), in_domain=asked.get("in_domain"),
        provenance={"recipe": recipe, "dtype": "bfloat16", "device": "cpu", "git_commit": "abc",
                    "packages": PACKAGES},
        manifest={"pruning": {"dtype": "bfloat16", "device": "cpu", "cost": cost},
                  "kept_weights_changed": asked.get("changes", False), "packages": PACKAGES},
    )  # fmt: skip


def _result(task: Mapping[str, Any], share: float, count: int) -> dict[str, Any]:
    metric = task.get("metric", "acc")
    return {
        metric: share,
        f"{metric}_stderr": task.get("stderr", 0.03),
        **({} if metric == "acc" else {"metric": metric}),
        **{key: task[key] for key in ("task", "chance", "fewshot", "acc_norm") if key in task},
        "samples": count,
        "version": "1",
    }
