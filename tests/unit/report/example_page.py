"""A small report for tests: one model, three methods, LEAP with a manifest and a journal."""

import json
from pathlib import Path

from suite.report.page.write import write_page
from suite.tables.against_published import compare
from suite.tables.evaluations import TASKS, read_cells
from suite.tables.headline import ENTRIES
from suite.tables.published import Published
from suite.tables.published_leads import leads

ACCURACY = {"dense": 0.9, "wanda": 0.5, "admm": 0.7, "leap": 0.65}
LAYER_SPARSITY = {"q": (0.4, 0.625), "down": (0.525, 0.45)}  # kind -> by block
LOSSES = (4.0, 3.0, 2.5, 2.0)


def evaluation(folder: Path, method: str, prefix: str = "", model: str = "m<b>") -> Path:
    cell = {
        "model": model, "method": method, "sparsity": "0.0" if method == "dense" else "0.5",
        "seed": 0, "achieved_sparsity": 0.5, "perplexity": {"value": 9.0, "stderr": 0.1},
        "tasks": {t: {"task": prefix + t, "acc": ACCURACY[method], "acc_stderr": 0.01, "samples": 9,
                      "version": "1", "chance": 0.4} for t in TASKS},
        "provenance": {"git_commit": "abc", "note": "</pre><script>problems.push(1)</script>"},
    }  # fmt: skip
    path = folder / f"{method}.json"
    path.write_text(json.dumps(cell))
    return path


def manifest(folder: Path) -> Path:
    """LEAP's manifest."""
    layers = {
        f"model.layers.{block}.part.{kind}_proj": sparsity
        for kind, values in LAYER_SPARSITY.items()
        for block, sparsity in enumerate(values)
    }
    cost = {"wall_time_seconds": 12.5, "peak_memory_bytes": 2_000_000_000}
    facts = {
        "model": "m<b>", "method": "leap", "seed": 0, "target_sparsity": 0.5,
        "layer_sparsity": layers, "selection": {"rule": "exact"},
        "pruning": {"settings": {"steps": 4}, "device": "cuda", "gpu": "A <GPU>", "cost": cost},
        "git_commit": "0123456789-dirty",
    }  # fmt: skip
    path = folder / "manifest.json"
    path.write_text(json.dumps(facts))
    return path


def journal(folder: Path) -> Path:
    """LEAP's training, whose second step was repeated after an interruption."""
    steps = [(0, LOSSES[0]), (1, 9.0), *((step, LOSSES[step]) for step in (1, 2, 3))]
    events = [
        {"event": "start", "tags": {"model": "m<b>", "sparsity": "0.5"}},
        *({"event": "metrics", "step": step, "values": {"lm_loss": loss, "density": 0.5}}
          for step, loss in steps),
        {"event": "metrics", "step": 3, "values": {"other": 1}},
    ]  # fmt: skip
    path = folder / "leap.jsonl"
    path.write_text("\n".join(map(json.dumps, events)))
    return path


def write_example(folder: Path) -> Path:
    """The whole page."""
    evaluations = [evaluation(folder, method) for method in ACCURACY]
    row = {"model": "m<b>", "sparsity": "0.5", "leap": 65.0, "baseline": "admm",
           "baseline_value": 70.0, "difference": -5.0}  # fmt: skip
    tested = {"standard_error": 2.0, "p_value": 0.012}
    summed = {
        "mean": -5.0,
        "min": -5.0,
        "max": -5.0,
        "cells_std": None,
        "seeds_std": None,
        "cells_better": 0,
    }
    significant = {"cells_significantly_better": 0, "cells_significantly_worse": 1}
    accuracy = {**summed, **tested, **significant, "cells": [{**row, **tested}]}
    headline = {
        "average_accuracy": {**dict.fromkeys(ENTRIES), "leap_minus_best_layer_wise": accuracy},
        "perplexity": {**dict.fromkeys(ENTRIES),
                       "leap_minus_best_layer_wise": {**summed, "cells": [row]}},
    }  # fmt: skip
    (folder / "headline.json").write_text(json.dumps(headline))
    (folder / "quality.svg").write_text(
        '<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><path d="M0 0h9"/></svg>'
    )
    published = [
        Published("m<b>", "leap", "0.5", 9.2, {}, 64.0, "a test"),
        Published("m<b>", "wanda", "0.5", 12.0, {}, 59.0, "another <test>"),
    ]
    read = read_cells(evaluations)
    write_page(
        "test", "What it says.", evaluations, {"m<b>/leap/0.5": manifest(folder)},
        folder / "headline.json",
        compare(read, published), [(folder / "quality.svg", "Quality & more")],
        {"grid": {"models": ["m<b>"]}}, folder / "report.html", "", leads=leads(read, published),
        tables=[folder / "headline.json"], journals=[journal(folder)],
    )  # fmt: skip
    return folder / "report.html"
