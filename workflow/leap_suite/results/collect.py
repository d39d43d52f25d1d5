"""Collect evaluations, items and manifests into the two frames of a run.

All files are checked here, once: complete, made by the recipes of this run, and comparable.
"""

import math
from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from leap_suite.artifacts.files import read_json
from leap_suite.artifacts.recorded import check
from leap_suite.plan.cell import DENSE, Cell
from leap_suite.plan.metrics import DEFAULT, is_share
from leap_suite.plan.validation import read_yaml, schema_problems
from leap_suite.plan.world import GENERATED
from leap_suite.results.frame import CELL, COLUMNS, ITEM, ITEM_COLUMNS, Results, read_items
from leap_suite.results.shipped import shipped_bytes
from leap_suite.results.statistics import recovered_shares

UNKNOWN = "unknown"  # not recorded
_EVALUATING, _HARDENING = ("torch", "transformers", "lm-eval"), ("torch", "transformers")
_PERPLEXITIES = {"perplexity": "ppl", "in_domain": "in_domain_ppl"}
_DIVERGENCES = {"divergence": "kl", "in_domain_divergence": "in_domain_kl"}
_COSTS = {
    "wall_seconds": "wall_time_seconds",
    "cpu_seconds": "cpu_seconds",
    "training_seconds": "training_seconds",
    "peak_bytes": "peak_memory_bytes",
    "peak_gpu_bytes": "peak_gpu_memory_bytes",
}
# columns of a task that all cells share
_ASKED = ["task", "metric", "task_version", "items", "fewshot", "chance"]

Record = dict[str, Any]


@dataclass(frozen=True)
class Files:
    """Files of a cell: its evaluation, and its items and manifest if there are any."""

    evaluation: Path
    items: Path | None = None
    manifest: Path | None = None


@dataclass(frozen=True)
class Shown:
    """Display settings: title and averaging of tasks by name, sparsity patterns by method."""

    tasks: Mapping[str, Mapping[str, Any]]
    patterns: Mapping[str, str] = field(default_factory=dict)


def collect(
    files: Mapping[str, Files], shown: Shown, recipes: Mapping[str, Any] | None = None
) -> Results:
    """Frames of cells, in the order of `files`, which are by cell path.

    `recipes` are the current recipes by cell path; None checks none. Raises ValueError, naming the
    file, for missing or malformed files, for another cell or recipe, and for cells evaluated on
    different tasks.
    """
    rows, answered = [], []
    for path, of in files.items():
        measured = [*_rows(path, of, shown, recipes)]
        rows += measured
        if of.items:
            cell = {name: measured[0][name] for name in CELL}
            items = read_items(of.items).assign(**cell)[ITEM_COLUMNS]
            _check_items(of.items, items, measured)
            answered.append((measured[0], items))
    rows += _flips(answered, {row["measure"] for row in rows if row["averaged"]})
    frame = _with_averages(pd.DataFrame(rows, columns=COLUMNS))
    _check_comparable(frame, files)
    whole = [items for _, items in answered] or [pd.DataFrame(columns=ITEM_COLUMNS)]
    return Results(frame, pd.concat(whole, ignore_index=True))


def collect_validations(
    files: Mapping[str, Path], shown: Shown, recipes: Mapping[str, Any] | None = None
) -> Results:
    """Frame of validation perplexities from files by cell path; no items."""
    rows = []
    for path, file in files.items():
        found = _read(file)
        _check_cell(path, file, found)
        _check_recipe(path, file, found.get("recipe"), recipes)
        quality = _perplexity("validation_ppl", found["perplexity"])
        rows.append(_facts(found, found, shown) | quality)
    return Results(pd.DataFrame(rows, columns=COLUMNS), pd.DataFrame(columns=ITEM_COLUMNS))


@cache
def _schema() -> Any:
    return read_yaml(Path(__file__).with_name("evaluation.schema.yaml"))


def _rows(
    path: str, files: Files, shown: Shown, recipes: Mapping[str, Any] | None
) -> Iterator[Record]:
    """Rows of a cell, one per measure."""
    evaluation = _read(files.evaluation)
    for problem in schema_problems(evaluation, _schema(), str(files.evaluation)):
        raise ValueError(problem)
    provenance = evaluation.get("provenance", {})
    _check_cell(path, files.evaluation, evaluation)
    _check_recipe(path, files.evaluation, provenance.get("recipe"), recipes)
    manifest = _read(files.manifest) if files.manifest else {}
    facts = _facts(evaluation, provenance, shown) | _pruned(manifest)
    yield facts | _measure("achieved_sparsity", evaluation["achieved_sparsity"], "fraction")
    for key, name in _PERPLEXITIES.items():
        if key in evaluation:
            yield facts | _perplexity(name, evaluation[key])
    for key, name in _DIVERGENCES.items():
        if key in evaluation:
            found = evaluation[key]
            yield facts | _measure(name, found["value"], "nats", found["stderr"])
    for name, result in evaluation["tasks"].items():
        if (metric := result.get("metric", DEFAULT)) not in result:
            raise ValueError(
                f"{files.evaluation}: tasks.{name} has no {metric}: delete it and run again"
            )
        yield from (facts | row for row in _task(name, result, shown.tasks.get(name, {})))
    if manifest:
        yield facts | _measure("shipped_bytes", shipped_bytes(manifest), "bytes")
    cost = manifest.get("pruning", {}).get("cost", {})
    for name, key in _COSTS.items():
        if cost.get(key) is not None:
            yield facts | _measure(name, cost[key], name.rpartition("_")[2])


def _task(name: str, result: Mapping[str, Any], shown: Mapping[str, Any]) -> Iterator[Record]:
    """Rows of a task: its metric, and acc_norm if that is another."""
    metric = result.get("metric", DEFAULT)
    title = str(shown.get("title", name))
    if result["task"].startswith(GENERATED):
        title = f"mini-{title}"
    own = {
        "task": result["task"],
        "task_version": result["version"],
        "items": result["samples"],
        "fewshot": result.get("fewshot", 0),
        "title": title,
        "metric": metric,
        "chance": 100 * result.get("chance", math.nan),
        "averaged": bool(shown.get("averaged", True)),
    }
    norm = {"title": f"{title} (norm)", "metric": "acc_norm", "chance": math.nan, "averaged": False}
    yield _scored(name, metric, result) | own
    if metric != "acc_norm" and "acc_norm" in result:
        yield _scored(f"{name}_norm", "acc_norm", result) | own | norm


def _scored(name: str, metric: str, result: Mapping[str, Any]) -> Record:
    scale, unit = (100, "percent") if is_share(metric) else (1, metric)
    stderr = scale * float(result.get(f"{metric}_stderr", math.nan))
    return _measure(name, scale * result[metric], unit, stderr)


def _with_averages(frame: pd.DataFrame) -> pd.DataFrame:
    """Add each cell's averages over the tasks that count, and its recovered share."""
    averaged = frame[frame["averaged"]]
    normed = frame[frame["measure"].str.endswith("_norm")].set_index([*CELL, "measure"])["value"]
    rows, others = [], []
    for cell, of_cell in averaged.groupby(CELL, sort=False):
        error = math.sqrt((of_cell["stderr"] ** 2).sum(skipna=False)) / len(of_cell)
        measured = _measure("average", of_cell["value"].mean(), "percent", error)
        chance = of_cell["chance"].mean(skipna=False)
        rows.append(of_cell.iloc[0].to_dict() | measured | {"chance": chance})
        names = [(*cell, f"{name}_norm") for name in of_cell["measure"]]
        if normed.index.isin(names).any():
            values = normed.reindex(names).to_numpy()
            mean = of_cell["value"].where(np.isnan(values), values).mean()
            others.append(rows[-1] | _measure("average_norm", mean, "percent"))
    averages = pd.DataFrame(rows, columns=COLUMNS).assign(title="Average")
    norms = pd.DataFrame(others, columns=COLUMNS).assign(title="Average (norm)")
    shares = averages.assign(measure="recovered_share", title="Recovered")
    shares = shares.assign(value=recovered_shares(averages), stderr=math.nan, chance=math.nan)
    added = [part for part in (averages, shares, norms) if len(part)]
    whole = pd.concat([frame, *added], ignore_index=True)
    order = whole.groupby(CELL, sort=False).ngroup()
    return whole.iloc[order.argsort(kind="stable")].reset_index(drop=True)


def _flips(
    answered: Sequence[tuple[Record, pd.DataFrame]], counted: Container[str]
) -> list[Record]:
    """A row per pruned cell of a model whose dense cell was evaluated: items whose score changed.

    In percent, the mean over the `counted` tasks (Dutta et al. 2024, arXiv 2407.09141). `answered`
    are a row and the items of each cell.
    """
    cells = [
        (row, items[items["measure"].isin(counted)].set_index(ITEM)["score"])
        for row, items in answered
    ]
    dense = {row["model"]: of for row, of in cells if row["method"] == DENSE}
    rows = []
    for row, of in cells:
        if row["method"] != DENSE and row["model"] in dense:
            changed = of.ne(dense[row["model"]].reindex(of.index))
            share = changed.groupby(level="measure").mean().mean()
            rows.append(row | _measure("flips", 100 * share, "percent") | {"title": "Flips"})
    return rows


def _measure(name: str, value: float, unit: str, stderr: float = math.nan) -> Record:
    found = {"measure": name, "title": name, "value": float(value), "stderr": stderr, "unit": unit}
    return {"items": 0, "chance": math.nan, "averaged": False, "task": "", "task_version": "",
            "metric": "", "fewshot": 0, **found}  # fmt: skip


def _perplexity(name: str, quality: Mapping[str, float]) -> Record:
    return _measure(name, quality["value"], "perplexity", quality.get("stderr", math.nan))


def _facts(found: Mapping[str, Any], provenance: Mapping[str, Any], shown: Shown) -> Record:
    """Columns of the cell, of its method's implementation, and of how it was evaluated."""
    method, recipe = found["method"], provenance.get("recipe", {})
    masks = recipe.get("checkpoint", {}).get("masks", {})
    return {
        "model": found["model"],
        "method": method,
        "implementation": masks.get("implementation", ""),
        "pattern": shown.patterns.get(method, ""),
        "sparsity": float(found["sparsity"]),
        "seed": found["seed"],
        "asked_dtype": recipe.get("model", {}).get("dtype", ""),
        "pruning_dtype": "" if method == DENSE else UNKNOWN,
        "hardening_versions": "",
        "dtype": str(provenance.get("dtype", UNKNOWN)),
        "versions": _versions(provenance, _EVALUATING),
        "device": str(provenance.get("gpu") or provenance.get("device", "")),
        "commit": str(provenance.get("git_commit", "")),
    }


def _pruned(manifest: Mapping[str, Any]) -> Record:
    """Dtype of pruning or training, and package versions of hardening; pruning records none."""
    if not manifest:
        return {}
    pruning = manifest["pruning"]
    # A method with a rule of its own records no device, and the dtype of its weights only.
    dtype = str(pruning.get("dtype", UNKNOWN)) if "device" in pruning else UNKNOWN
    return {"pruning_dtype": dtype, "hardening_versions": _versions(manifest, _HARDENING)}


def _versions(record: Mapping[str, Any], names: Sequence[str]) -> str:
    recorded = record.get("packages", {})
    return ", ".join(f"{name} {recorded.get(name, UNKNOWN)}" for name in names)


# Checks


def _read(file: Path) -> Record:
    try:
        found = read_json(file)
    except FileNotFoundError:
        message = f"{file} does not exist: make it, or leave its cell out of the grid"
        raise ValueError(message) from None
    if not isinstance(found, dict):
        raise ValueError(f"{file} is damaged: delete it and run again")
    return found


def _check_cell(path: str, file: Path, found: Mapping[str, Any]) -> None:
    of = Cell(*(found.get(name) for name in CELL)).path  # type: ignore[arg-type]
    if of != path:
        raise ValueError(f"{file} belongs to {of}, not to {path}: delete it and run again")


def _check_recipe(
    path: str, file: Path, recorded: Mapping[str, Any] | None, recipes: Mapping[str, Any] | None
) -> None:
    """Refuse a result of another recipe."""
    if recipes is None:
        return
    if path not in recipes:
        raise ValueError(f"{file}: {path} is not a cell of this run")
    if recorded is None:
        raise ValueError(
            f"{file} has no record of the settings it was made with: delete it and run again"
        )
    check(file, recorded, recipes[path])


def _check_items(file: Path, items: pd.DataFrame, measured: Sequence[Record]) -> None:
    """Refuse items that do not match the evaluation, of tasks that count."""
    counts = items["measure"].value_counts()
    for row in (row for row in measured if row["averaged"]):
        found, name = counts.get(row["measure"], 0), row["measure"]
        if found != row["items"]:
            raise ValueError(
                f"{file} has {found} items of {name}, of which {row['items']} were asked: evaluate "
                f"again, or, where its score is no mean over items, set "
                f"evaluation.tasks.{name}.averaged to false"
            )


def _check_comparable(frame: pd.DataFrame, files: Mapping[str, Files]) -> None:
    """Refuse cells whose tasks or items differ from the first cell's."""
    asked = frame[frame["task"] != ""].set_index(CELL)
    by_cell = asked.groupby(level=CELL, sort=False)
    cells = [(cell, rows.set_index("measure")[_ASKED]) for cell, rows in by_cell]
    for cell, found in cells[1:]:
        first, reference = cells[0]
        others = sorted(set(found.index) ^ set(reference.index)) or [
            name for name in found.index if not found.loc[name].equals(reference.loc[name])
        ]
        if others:
            ours, theirs = (files[Cell.at(*each).path].evaluation for each in (cell, first))
            raise ValueError(
                f"{ours} and {theirs} answered {', '.join(others)} in different ways "
                f"({', '.join(_ASKED)}): evaluate both again"
            )
