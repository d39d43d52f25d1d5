"""A report of a whole grid for tests: three models, ten methods, two sparsities, some seeds.

The tasks are the usual six, and two that do not count in the average: exact matches after examples,
and one whose score is a perplexity. Any method can be the subject. No two
results are equal, and a cell's best baseline by accuracy is hardly ever its best by perplexity.
"""

import csv
import json
import math
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from suite.plan.cell import Cell
from suite.plan.config import load
from suite.plan.methods import method_label
from suite.plan.subject import judged
from suite.report.page import write
from suite.report.page.write import Beside, write_page
from suite.results.frame import Results
from suite.tables.headline import judge
from suite.tables.published import read_published
from suite.tables.told import Told
from tests.unit.made import Made, collected, made
from tests.unit.report.example_page import TITLES, manifests

MODELS = ("model-a", "model-b", "model-c")
SPARSITIES = ("0.5", "0.6")
LAYER_WISE = ("magnitude", "wanda", "sparsegpt", "admm", "alps", "thanos")
RETRAINING = ("reconstruct", "elsa")
CONTROL = "random-mask"
METHODS = (CONTROL, *LAYER_WISE, *RETRAINING, "leap")
LACKS = ("model-c", "thanos", "0.6")  # not run: no line of the leaderboard
SEEDS = {("model-a", "leap"): 2, ("model-b", "admm"): 2}
ITEMS = 100  # of a task
STEPS = 5  # of a training, too few to be averaged
PUBLISHED = ("dense", "wanda", "admm", "leap")
# tasks that do not count, by their heading
OTHERS = {"gsm8k": "GSM8K", "lambada": "LAMBADA"}
TASKS = {**TITLES, **OTHERS}
# whom the page says that a subject is against, by the methods that may be the best
AGAINST: Mapping[str, Mapping[str, Sequence[str]]] = {
    "leap": {
        "the best layer-wise baseline": LAYER_WISE,
        "the best of all baselines": (*LAYER_WISE, *RETRAINING),
        "ADMM": ("admm",),
    },
    # the reconstruction keeps Wanda's masks, and LEAP only starts from them
    "wanda": {
        "the best layer-wise baseline": ("magnitude", "sparsegpt", "admm", "alps", "thanos"),
        "the best of all baselines": (
            *("magnitude", "sparsegpt", "admm", "alps", "thanos", "elsa", "leap"),
        ),
        "ADMM": ("admm",),
    },
    "reconstruct": {
        "the best retraining baseline": ("elsa",),
        "the best of all baselines": (*LAYER_WISE, "elsa", "leap"),
        "ADMM": ("admm",),
    },
    "not in the grid": {},
}


@dataclass(frozen=True)
class Grid:
    """The report about one subject, and the files that its numbers come from."""

    folder: Path
    subject: str
    told: Told
    files: Made
    results: Results
    journals: Mapping[tuple[str, str], Path]  # by model and sparsity
    published: Sequence[Path]

    @property
    def against(self) -> Mapping[str, Sequence[str]]:
        """The verdicts that there are to be."""
        return AGAINST[self.subject]

    @property
    def label(self) -> str:
        """The subject for readers."""
        return method_label(self.subject)

    @cached_property
    def main(self) -> pd.DataFrame:
        """A row a cell, computed from the evaluations and manifests alone."""
        frame = pd.DataFrame(_row(file.evaluation, file.manifest) for file in self.files.values())
        dense = frame[frame["method"] == "dense"].set_index("model")
        above = frame["average"] - frame["chance"]
        of_dense = (dense["average"] - dense["chance"]).reindex(frame["model"]).to_numpy()
        return frame.assign(recovered_share=100 * above / of_dense)

    @cached_property
    def means(self) -> pd.DataFrame:
        """Means of its numbers over seeds, by model, sparsity and method."""
        return self.main.groupby(["model", "sparsity", "method"]).mean(numeric_only=True)

    @cached_property
    def headline(self) -> list[dict[str, Any]]:
        """The verdicts, whose errors are held by tests of their own."""
        return judge(self.results, self.told)["against"]

    @property
    def page(self) -> Path:
        """The report."""
        return self.folder / "report.html"


def _row(evaluation: Path, manifest: Path | None) -> dict[str, Any]:
    found = json.loads(evaluation.read_text())
    tasks, cost = found["tasks"], {}
    if manifest:
        cost = json.loads(manifest.read_text())["pruning"]["cost"]
    row = {name: found[name] for name in ("model", "method", "sparsity", "seed")}
    for task, metric, scale in (
        *((task, "acc", 100) for task in TITLES),
        *(("gsm8k", "exact_match", 100), ("lambada", "perplexity", 1)),
    ):
        row[task] = scale * tasks[task][metric]
        row[f"{task}_stderr"] = scale * tasks[task].get(f"{metric}_stderr", math.nan)
    return row | {
        "average": sum(row[task] for task in TITLES) / 6,
        "average_stderr": math.hypot(*(row[f"{task}_stderr"] for task in TITLES)) / 6,
        "chance": 100 * sum(tasks[task]["chance"] for task in TITLES) / 6,
        "ppl": found["perplexity"]["value"],
        "ppl_stderr": found["perplexity"]["stderr"],
        "achieved_sparsity": float(found["achieved_sparsity"]),
        "seconds": cost.get("wall_time_seconds", math.nan),
        "peak": cost.get("peak_memory_bytes", math.nan) / 1e9,
    }


def cells() -> Iterator[Cell]:
    """All cells, in an order other than that of main.csv."""
    for method in ("dense", *METHODS):
        for model in MODELS:
            for sparsity in ("0.0",) if method == "dense" else SPARSITIES:
                for seed in range(SEEDS.get((model, method), 1)):
                    if (model, method, sparsity) != LACKS:
                        yield Cell(model, method, sparsity, seed)


def scores(cell: Cell) -> tuple[int, float]:
    """How many items of the six tasks are correct, and the perplexity."""
    place = 2 * MODELS.index(cell.model) + (cell.sparsity == "0.6")
    if cell.method in LAYER_WISE[1:]:
        # the best is another one in each place, and by perplexity not the one by accuracy
        rank = LAYER_WISE[1:].index(cell.method)
        by_accuracy, by_perplexity = ((rank - place - shift) % 5 for shift in (0, 2))
        correct, perplexity = 330 - 11 * by_accuracy, 30 + 3.1 * by_perplexity
    else:
        correct, perplexity = {
            "dense": (540, 9.0), CONTROL: (180, 4.6e9), "magnitude": (220, 1234.5),
            "reconstruct": (270, 17.0), "leap": (380, 19.0),
            "elsa": (440 - 45 * MODELS.index(cell.model), 20.0),  # ahead, even, and behind
        }[cell.method]  # fmt: skip
    return correct + place + 6 * cell.seed, perplexity * (1 + 0.013 * place + 0.11 * cell.seed)


def write_cells(folder: Path) -> Made:
    """The files of all cells."""
    files: Made = {}
    for place, cell in enumerate(cells()):
        draw = random.Random(f"errors of {cell.path}")
        answers = _answers(cell)
        files |= made(
            folder, cell.model, cell.method, cell.target, cell.seed,
            answers=answers, tasks=_tasks(cell, answers), ppl=scores(cell)[1],
            achieved=cell.target and cell.target + draw.uniform(0, 0.01),
            provenance={"git_commit": f"{draw.getrandbits(60):015x}", "device": "cpu"},
            manifest=_manifest(cell, place),
        )  # fmt: skip
    return files


def write_grid(files: Made, subject: str, folder: Path) -> Grid:
    """Write the page."""
    if subject not in METHODS:
        files = {path: of for path, of in files.items() if "/leap/" not in path}
    settings = load({"scale": "mini", "hub_mirror": "", "grid": {"methods": [*METHODS]}})
    named = {"subject": subject} if subject in METHODS else {}
    judgement = judged({**settings, **named, "against": ["admm"]})
    tasks = {name: {"title": title, "averaged": name in TITLES} for name, title in TASKS.items()}
    grid = Grid(
        folder, subject,
        Told("test", about="What it says.", published=True, **judgement),
        files, collected(files, tasks),
        {(m, s): _journal(folder / f"{m}-{s}.jsonl", m, s) for m in MODELS for s in SPARSITIES},
        [_published(folder / f"published-{i}.csv", i) for i in range(2)],
    )  # fmt: skip
    (folder / "main.csv").write_text("model\n")
    journals = [*grid.journals.values()] if subject == "leap" else []
    beside = Beside(manifests(files), [], {}, [folder / "main.csv"], journals)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(write, "read_published", lambda: read_published(grid.published))
        write_page(grid.results, grid.told, beside, grid.page)
    return grid


def _answers(cell: Cell) -> dict[str, list[int]]:
    """Whether each item is answered correctly, by task."""
    draw = random.Random(cell.path)
    every = [(task, item) for task in TITLES for item in range(ITEMS)]
    chosen = set(draw.sample(every, scores(cell)[0]))
    found = {task: [int((task, item) in chosen) for item in range(ITEMS)] for task in TITLES}
    return found | {"gsm8k": [int(draw.random() < 0.2) for _ in range(ITEMS)]}


def _tasks(cell: Cell, answers: Mapping[str, Sequence[int]]) -> dict[str, dict[str, Any]]:
    draw = random.Random(f"tasks of {cell.path}")
    asked: dict[str, Any] = {"samples": ITEMS, "version": "1"}
    found = {
        task: {"acc": sum(answers[task]) / ITEMS, "acc_stderr": draw.uniform(0.01, 0.05),
               "chance": 0.2 + 0.01 * place, **asked}
        for place, task in enumerate(TITLES)
    }  # fmt: skip
    found["gsm8k"] = {
        "metric": "exact_match", "exact_match": sum(answers["gsm8k"]) / ITEMS,
        "exact_match_stderr": draw.uniform(0.01, 0.05), "fewshot": 5, **asked,
    }  # fmt: skip
    # of which lm-eval gives no error
    found["lambada"] = {"metric": "perplexity", "perplexity": 3 * scores(cell)[1] ** 1.1, **asked}
    return found


def _manifest(cell: Cell, place: int) -> dict[str, Any]:
    draw = random.Random(f"layers of {cell.path}")
    layers = {
        f"model.layers.{block}.part.{kind}_proj": cell.target + draw.uniform(-0.2, 0.2)
        for block in range(3)
        for kind in ("q", "k", "down")
    }
    cost = {"wall_time_seconds": 10 + 1.7 * place, "peak_memory_bytes": 10**9 + place * 3 * 10**7}
    return {
        "layer_sparsity": layers,
        "pruning": {"settings": {}, "device": f"machine {place}", "gpu": "", "cost": cost},
        "git_commit": f"{draw.getrandbits(60):015x}",
    }


def _journal(path: Path, model: str, sparsity: str) -> Path:
    draw = random.Random(f"training of {model} at {sparsity}")
    events: list[dict[str, Any]] = [
        {"event": "start", "tags": {"model": model, "sparsity": sparsity}}
    ]
    for step in range(STEPS):
        values = {"lm_loss": draw.uniform(2, 4), "density": draw.uniform(0.3, 0.6)}
        events.append({"event": "metrics", "step": step, "values": values})
    path.write_text("\n".join(map(json.dumps, events)))
    return path


def _published(path: Path, source: int) -> Path:
    """Numbers near ours; the second source has the first model alone, and averages only."""
    rows = []
    for cell in cells():
        if cell.method not in PUBLISHED or cell.model not in MODELS[: 2 - source] or cell.seed:
            continue
        draw = random.Random(f"{cell.path} as published in {source}")
        correct, perplexity = scores(cell)
        percent = 100 * correct / ITEMS / len(TITLES)
        tasks = {t: "" if source else f"{percent + draw.uniform(-15, 15):.2f}" for t in TITLES}
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
