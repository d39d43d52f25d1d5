"""The commands `leap-suite prune` and `leap-suite evaluate`; each returns a summary.

Both raise ConfigError for invalid arguments and ValueError for failures.
"""

import tempfile
from argparse import Namespace
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from leap_suite.artifacts.files import read_json, replacing, write_json
from leap_suite.cli.bench import Bench
from leap_suite.plan import tasks
from leap_suite.plan.cell import Cell
from leap_suite.plan.config import scale_settings
from leap_suite.plan.methods import can_have, pattern_of
from leap_suite.plan.validation import ConfigError, unknown_name
from leap_suite.results.collect import Files, Shown, collect
from leap_suite.results.frame import Results, of_tasks
from leap_suite.sources.own import SCALE, path_name
from leap_suite.stages.evaluate import evaluate as run_evaluation
from leap_suite.stages.harden import harden
from leap_suite.stages.zeros import warn_of_zeros

_TEXTS = {"ppl": "WikiText-2", "in_domain_ppl": "C4"}


def prune(asked: Namespace) -> str:
    """Prune a model into the folder `out`, written whole or not at all."""
    method, sparsity, out = asked.method, asked.sparsity, asked.out
    if out.exists() and not (out.is_dir() and not any(out.iterdir())):
        raise ConfigError(f"--out: {out} exists: name a new or an empty folder")
    if asked.text is not None:
        _check_text(asked.text)
    grid = {"methods": [method], "sparsities": [sparsity]}
    steps = {} if asked.steps is None else {"methods": {method: {"steps": asked.steps}}}
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out.parent, prefix=f".{out.name}.") as temporary:
        bench = Bench(Path(temporary), {**_model(asked), "grid": grid, **steps})
        own = bench.settings["implementations"][method], bench.settings["methods"][method]
        if not can_have(*own, sparsity):
            raise ConfigError(f"--sparsity: {method} is {pattern_of(*own)}, not {sparsity}")
        bench.prepare("calibration", asked.text)
        warn_of_zeros(bench.model, bench.name)
        cell = Cell.at(bench.name, method, sparsity)
        with replacing(out) as folder:
            folder.mkdir()
            files, recipe = bench.pruned(cell), bench.recipes.checkpoint(cell)
            harden(bench.model, files, cell, bench.settings["run"], recipe, folder)
    counts = read_json(out / "manifest.json")
    removed, weights = counts["weights"] - counts["survivors"], counts["weights"]
    return f"{out}: {removed:,} of {weights:,} weights removed ({removed / weights:.2%})"


def evaluate(asked: Namespace) -> str:
    """Evaluate a model folder, pruned (with manifest.json) or not, and write evaluation.json."""
    folder, name = Path(asked.model), path_name(asked.model)
    if not folder.is_dir():
        raise ConfigError(f"DIR: there is no folder {folder}")
    file, limit = folder / "manifest.json", {} if asked.limit is None else {"limit": asked.limit}
    manifest = read_json(file) if file.is_file() else {}
    own = {key: manifest[key] for key in ("dtype", "bos") if manifest}
    wanted = dict.fromkeys(asked.tasks.split(","), limit)
    known = scale_settings(SCALE)["evaluation"]["tasks"]
    for task in wanted.keys() - known.keys():
        raise ConfigError(f"--tasks: scale {SCALE} has no task {unknown_name(task, known)}")
    with tempfile.TemporaryDirectory() as temporary:
        work = Path(temporary)
        bench = Bench(work, {**_model(asked, **own), "evaluation": {"tasks": wanted}})
        evaluation, run = bench.settings["evaluation"], bench.settings["run"]
        evaluation["tasks"] = {task: evaluation["tasks"][task] for task in wanted}
        bench.prepare("perplexity")
        cell, hardened = Cell.dense(name), None
        recipe = bench.recipes.evaluation(cell)
        if manifest:
            sparsity = manifest["target_sparsity"]
            cell, hardened = Cell.at(name, manifest["method"], sparsity, manifest["seed"]), folder
            recipe["checkpoint"] = manifest["recipe"]
        texts = bench.corpus("perplexity"), bench.corpus("in_domain")
        made = work / "evaluation.json", work / "items.csv.gz"
        run_evaluation(bench.model, hardened, *texts, cell, run, recipe, None, *made)
        result = read_json(made[0])
    if manifest:  # the stage took the pruned model for the dense one
        result["provenance"]["dense_weights_sha256"] = manifest["dense_weights_sha256"]
    write_json(folder / "evaluation.json", result)
    written = {cell.path: Files(folder / "evaluation.json")}
    return "\n".join(_table(collect(written, Shown(tasks.shown(bench.settings)))))


def _check_text(file: Path) -> None:
    try:
        file.read_text("utf-8")
    except OSError:
        raise ConfigError(f"--text: there is no readable file {file}") from None
    except UnicodeDecodeError:
        raise ConfigError(f"--text: {file} is no text in UTF-8") from None


def _model(asked: Namespace, **own: Any) -> dict[str, Any]:
    bos = {} if asked.bos is None else {"bos": asked.bos}
    return {"model": asked.model, "models": {path_name(asked.model): {**own, **bos}}}


def _table(results: Results) -> Iterator[str]:
    yield f"{'':24}{'score':>9}{'error':>9}{'items':>9}{'chance':>9}"
    for row in of_tasks(results.frame).itertuples():
        yield f"{row.measure:24}{row.value:9.2f}{row.stderr:9.2f}{row.items:9}{row.chance:9.2f}"
    (cell,) = results.cells.to_dict("records")
    yield f"{'average':24}{cell['average']:9.2f}"
    for name, title in _TEXTS.items():
        quality, error = cell[name], cell[f"{name}_stderr"]
        yield f"{f'perplexity, {title}':24} {quality:8.2f} {error:8.2f}"
