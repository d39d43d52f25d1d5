"""A small report for tests: one model, four methods, LEAP with a journal, names to be escaped."""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from suite.report.page import write
from suite.report.page.write import Beside, write_page
from suite.results.frame import Results
from suite.tables.told import Told
from tests.unit.made import Made, collected, made, scored

MODEL = "m<b>"
TITLES = {
    "piqa": "PIQA", "arc_easy": "ARC-E", "arc_challenge": "ARC-C", "winogrande": "WinoGrande",
    "openbookqa": "OBQA", "mmlu": "MMLU",
}  # fmt: skip
ACCURACY = {"dense": 0.9, "wanda": 0.5, "admm": 0.7, "leap": 0.65}
ITEMS = 200  # of a task
LAYER_SPARSITY = {"q": (0.4, 0.625), "down": (0.525, 0.45)}  # kind -> by block
LOSSES = (4.0, 3.0, 2.5, 2.0)
TOLD = Told("test", about="What it says.", kindred=("wanda", "admm"), opponents=("wanda", "admm"))
PUBLISHED = pd.DataFrame(
    [
        (MODEL, "leap", 0.5, "a test", "average", 64.0),
        (MODEL, "leap", 0.5, "a test", "ppl", 9.2),
        (MODEL, "wanda", 0.5, "another <test>", "average", 59.0),
        (MODEL, "wanda", 0.5, "another <test>", "ppl", 12.0),
    ],
    columns=["model", "method", "sparsity", "source", "measure", "value"],
)


def example(folder: Path, model: str = MODEL, prefix: str = "", **dtypes: str) -> Made:
    """The cells; `prefix` is that of the tasks' names in lm-eval, `dtypes` are by method."""
    files: Made = {}
    for method, accuracy in ACCURACY.items():
        right = round(ITEMS * accuracy)
        files |= made(
            folder, model, method,
            tasks={t: scored(accuracy, task=prefix + t, chance=0.4, samples=ITEMS) for t in TITLES},
            answers={task: [1] * right + [0] * (ITEMS - right) for task in TITLES},
            provenance={"git_commit": "abc", "device": "</pre><script>problems.push(1)</script>",
                        "dtype": dtypes.get(method, "float32")},
            manifest=_manifest() if method == "leap" else {},
        )  # fmt: skip
    return files


def collected_example(files: Made) -> Results:
    """The results of these cells, with the tasks' headings."""
    return collected(files, {task: {"title": title} for task, title in TITLES.items()})


def manifests(files: Made) -> Mapping[str, Path]:
    """By the path of their cell."""
    return {path: file.manifest for path, file in files.items() if file.manifest}


def write_example(folder: Path) -> Path:
    """The whole page."""
    files = example(folder)
    (folder / "main.csv").write_text("model\n")
    (folder / "quality.svg").write_text(
        '<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><path d="M0 0h9"/></svg>'
    )
    beside = Beside(
        manifests(files), [(folder / "quality.svg", "Quality & more")],
        {"grid": {"models": [MODEL]}}, [folder / "main.csv"], [journal(folder)],
    )  # fmt: skip
    told = replace(TOLD, published=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(write, "read_published", lambda: PUBLISHED)
        write_page(collected_example(files), told, beside, folder / "report.html")
    return folder / "report.html"


def _manifest() -> dict[str, Any]:
    """What is LEAP's own in its manifest."""
    layers = {
        f"model.layers.{block}.part.{kind}_proj": sparsity
        for kind, values in LAYER_SPARSITY.items()
        for block, sparsity in enumerate(values)
    }
    cost = {"wall_time_seconds": 12.5, "peak_memory_bytes": 2_000_000_000}
    pruning = {"settings": {"steps": 4}, "device": "cuda", "gpu": "A <GPU>", "cost": cost}
    return {"layer_sparsity": layers, "pruning": pruning, "git_commit": "0123456789-dirty"}


def journal(folder: Path) -> Path:
    """LEAP's training, whose second step was repeated after an interruption."""
    steps = [(0, LOSSES[0]), (1, 9.0), *((step, LOSSES[step]) for step in (1, 2, 3))]
    events = [
        {"event": "start", "tags": {"model": MODEL, "sparsity": "0.5"}},
        *({"event": "metrics", "step": step, "values": {"lm_loss": loss, "density": 0.5}}
          for step, loss in steps),
        {"event": "metrics", "step": 3, "values": {"other": 1}},
    ]  # fmt: skip
    path = folder / "leap.jsonl"
    path.write_text("\n".join(map(json.dumps, events)))
    return path
