"""A report of a whole grid for tests: three models, ten methods, two sparsities, some seeds.

main.csv and headline.json are what the suite writes of the grid's evaluations and items. No two
results are equal, and a cell's best baseline by accuracy is never its best by perplexity.
"""

import csv
import json
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from suite.artifacts.items import write_items
from suite.plan.cell import Cell
from suite.report.page.write import write_page
from suite.tables.against_published import compare
from suite.tables.evaluations import TASKS, main_table, read_cells
from suite.tables.headline import headline, item_files, write_headline
from suite.tables.main import write_csv
from suite.tables.published import read_published
from suite.tables.published_leads import leads

MODELS = ("model-a", "model-b", "model-c")
SPARSITIES = ("0.5", "0.6")
LAYER_WISE = ("wanda", "sparsegpt", "admm", "alps", "thanos")
RETRAINING = ("reconstruct", "elsa")
CONTROL = "random-mask"
METHODS = ("dense", CONTROL, "magnitude", *LAYER_WISE, *RETRAINING, "leap")
LACKS = ("model-c", "thanos", "0.6")  # not run: no line of the leaderboard
SEEDS = {("model-a", "leap"): 2, ("model-b", "admm"): 2}
ITEMS = 100  # of a task
STEPS = 5  # of a training, too few to be averaged
PUBLISHED = ("dense", "wanda", "admm", "leap")


@dataclass(frozen=True)
class Grid:
    """The report, and the files that its numbers come from."""

    folder: Path
    evaluations: Sequence[Path]
    manifests: Mapping[str, Path]  # by the path of their cell
    journals: Mapping[tuple[str, str], Path]  # by model and sparsity
    published: Sequence[Path]

    @cached_property
    def main(self) -> pd.DataFrame:
        """main.csv, with sparsities as they are written."""
        return pd.read_csv(self.folder / "main.csv", dtype={"sparsity": str})

    @cached_property
    def means(self) -> pd.DataFrame:
        """Means of main.csv's numbers over seeds, by model, sparsity and method."""
        return self.main.groupby(["model", "sparsity", "method"]).mean(numeric_only=True)

    @cached_property
    def headline(self) -> dict[str, Any]:
        """headline.json."""
        return json.loads((self.folder / "headline.json").read_text())

    @property
    def page(self) -> Path:
        """The report."""
        return self.folder / "report.html"


def cells() -> list[Cell]:
    """All cells, in an order other than that of main.csv."""
    found = [
        Cell(model, method, sparsity, seed)
        for method in METHODS
        for model in MODELS
        for sparsity in (("0.0",) if method == "dense" else SPARSITIES)
        for seed in range(SEEDS.get((model, method), 1))
    ]
    return [cell for cell in found if (cell.model, cell.method, cell.sparsity) != LACKS]


def scores(cell: Cell) -> tuple[int, float]:
    """How many items of all tasks are correct, and the perplexity."""
    place = 2 * MODELS.index(cell.model) + (cell.sparsity == "0.6")
    if cell.method in LAYER_WISE:
        # the best is another one in each place, and by perplexity not the one by accuracy
        ranks = [(LAYER_WISE.index(cell.method) - place - shift) % 5 for shift in (0, 2)]
        correct, perplexity = 330 - 11 * ranks[0], 30 + 3.1 * ranks[1]
    else:
        correct, perplexity = {
            "dense": (540, 9.0), CONTROL: (180, 4.6e9), "magnitude": (220, 1234.5),
            "reconstruct": (270, 17.0), "leap": (380, 19.0),
            "elsa": (440 - 45 * MODELS.index(cell.model), 20.0),  # ahead, even, and behind
        }[cell.method]  # fmt: skip
    return correct + place + 6 * cell.seed, perplexity * (1 + 0.013 * place + 0.11 * cell.seed)


def correct_items(cell: Cell) -> dict[str, set[int]]:
    """The items that are answered correctly, by task."""
    draw = random.Random(cell.path)
    every = [(task, item) for task in TASKS for item in range(ITEMS)]
    chosen = draw.sample(every, scores(cell)[0])
    return {task: {item for of, item in chosen if of == task} for task in TASKS}


def write_grid(folder: Path) -> Grid:
    """Write all files and the page."""
    every = cells()
    answers = [_items(folder / "items" / f"{i}.csv.gz", cell) for i, cell in enumerate(every)]
    grid = Grid(
        folder,
        [_evaluation(folder / "evaluations" / f"{i}.json", cell) for i, cell in enumerate(every)],
        {
            cell.path: _manifest(folder / "manifests" / f"{i}.json", cell, i)
            for i, cell in enumerate(every)
            if cell.method != "dense"
        },
        {(m, s): _journal(folder / f"{m}-{s}.jsonl", m, s) for m in MODELS for s in SPARSITIES},
        [_published(folder / f"published-{i}.csv", i) for i in range(2)],
    )
    results = read_cells(grid.evaluations)
    write_csv(main_table(grid.evaluations, MODELS, METHODS), folder / "main.csv")
    write_headline(
        headline(results, item_files(results, answers), LAYER_WISE, RETRAINING),
        folder / "headline.json",
    )
    published = read_published(grid.published)
    write_page(
        "test", "What it says.", grid.evaluations, grid.manifests, folder / "headline.json",
        compare(results, published), [], {}, grid.page, "", leads=leads(results, published),
        tables=[folder / "main.csv"], journals=list(grid.journals.values()),
    )  # fmt: skip
    return grid


def _written(path: Path, text: str) -> Path:
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    return path


def _items(path: Path, cell: Cell) -> Path:
    path.parent.mkdir(exist_ok=True)
    correct = correct_items(cell)
    write_items({t: {t: {i: int(i in correct[t]) for i in range(ITEMS)}} for t in TASKS}, path)
    return path


def _evaluation(path: Path, cell: Cell) -> Path:
    draw = random.Random(f"errors of {cell.path}")
    tasks = {
        task: {"task": task, "acc": len(correct) / ITEMS, "acc_stderr": draw.uniform(0.01, 0.05),
               "samples": ITEMS, "version": "1", "chance": 0.2 + 0.01 * TASKS.index(task)}
        for task, correct in correct_items(cell).items()
    }  # fmt: skip
    facts = {
        "model": cell.model, "method": cell.method, "sparsity": cell.sparsity, "seed": cell.seed,
        "achieved_sparsity": cell.target and cell.target + draw.uniform(0, 0.01),
        "perplexity": {"value": scores(cell)[1], "stderr": draw.uniform(0.1, 0.5)}, "tasks": tasks,
        "provenance": {"git_commit": f"{draw.getrandbits(60):015x}", "device": "cpu"},
    }  # fmt: skip
    return _written(path, json.dumps(facts))


def _manifest(path: Path, cell: Cell, place: int) -> Path:
    draw = random.Random(f"layers of {cell.path}")
    layers = {
        f"model.layers.{block}.part.{kind}_proj": cell.target + draw.uniform(-0.2, 0.2)
        for block in range(3)
        for kind in ("q", "k", "down")
    }
    cost = {"wall_time_seconds": 10 + 1.7 * place, "peak_memory_bytes": 10**9 + place * 3 * 10**7}
    facts = {
        "model": cell.model, "method": cell.method, "seed": cell.seed,
        "target_sparsity": cell.target, "layer_sparsity": layers, "selection": {"rule": "exact"},
        "pruning": {"settings": {}, "device": f"machine {place}", "gpu": "", "cost": cost},
        "git_commit": f"{draw.getrandbits(60):015x}",
    }  # fmt: skip
    return _written(path, json.dumps(facts))


def _journal(path: Path, model: str, sparsity: str) -> Path:
    draw = random.Random(f"training of {model} at {sparsity}")
    events: list[dict[str, Any]] = [
        {"event": "start", "tags": {"model": model, "sparsity": sparsity}}
    ]
    for step in range(STEPS):
        values = {"lm_loss": draw.uniform(2, 4), "density": draw.uniform(0.3, 0.6)}
        events.append({"event": "metrics", "step": step, "values": values})
    return _written(path, "\n".join(map(json.dumps, events)))


def _published(path: Path, source: int) -> Path:
    """Numbers near ours; the second source has the first model alone, and averages only."""
    rows = []
    for cell in cells():
        if cell.method not in PUBLISHED or cell.model not in MODELS[: 2 - source] or cell.seed:
            continue
        draw = random.Random(f"{cell.path} as published in {source}")
        correct, perplexity = scores(cell)
        percent = 100 * correct / ITEMS / len(TASKS)
        tasks = {t: "" if source else f"{percent + draw.uniform(-15, 15):.2f}" for t in TASKS}
        rows.append(
            {"model": cell.model, "sparsity": cell.sparsity, "method": cell.method,
             "ppl": f"{perplexity * draw.uniform(0.9, 1.1):.2f}", **tasks,
             "average": f"{percent + draw.uniform(-6, 6):.2f}", "source": f"source {source}"}
        )  # fmt: skip
    with open(path, "w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path
