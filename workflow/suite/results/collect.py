"""From evaluations, items and manifests to the two frames that everything later is made of.

Here the files of all cells are checked once: that they are there and whole, made by the recipes
that this run asks for, and comparable with each other.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import pandas as pd

from suite.artifacts.files import read_json
from suite.artifacts.recorded import check
from suite.plan.cell import DENSE, Cell
from suite.plan.metrics import DEFAULT, is_share
from suite.plan.validation import read_yaml, schema_problems
from suite.plan.world import GENERATED
from suite.results.frame import CELL, COLUMNS, ITEM_COLUMNS, Results, place_of, read_items
from suite.results.statistics import recovered_shares

UNKNOWN = "unknown"  # what was not recorded
_EVALUATING, _HARDENING = ("torch", "transformers", "lm-eval"), ("torch", "transformers")
_PERPLEXITIES = {"perplexity": "ppl", "in_domain": "in_domain_ppl"}
_COSTS = {
    "wall_seconds": "wall_time_seconds",
    "cpu_seconds": "cpu_seconds",
    "training_seconds": "training_seconds",
    "peak_bytes": "peak_memory_bytes",
    "peak_gpu_bytes": "peak_gpu_memory_bytes",
}
# what two cells have to share of a task
_ASKED = ["task", "metric", "task_version", "items", "fewshot", "chance"]

Record = dict[str, Any]


@dataclass(frozen=True)
class Files:
    """Of one cell: its evaluation, and, where there are, its items and manifest."""

    evaluation: Path
    items: Path | None = None
    manifest: Path | None = None


@dataclass(frozen=True)
class Shown:
    """How results are told to readers: tasks by name (title, averaged), patterns by method."""

    tasks: Mapping[str, Mapping[str, Any]]
    patterns: Mapping[str, str] = field(default_factory=dict)


def collect(
    files: Mapping[str, Files], shown: Shown, recipes: Mapping[str, Any] | None = None
) -> Results:
    """The frames of cells, in the order of `files`, whose keys are the cells' paths.

    `recipes` says what each cell would be made with now; None checks nothing. Raises ValueError,
    naming the file, where one is missing or malformed, of another cell or recipe, or where two
    cells answered different tasks.
    """
    rows, items = [], []
    for path, of in files.items():
        measured = [*_rows(path, of, shown, recipes)]
        rows += measured
        if of.items:
            cell = {name: measured[0][name] for name in CELL}
            items.append(read_items(of.items).assign(**cell)[ITEM_COLUMNS])
            _check_items(of.items, items[-1], measured)
    frame = _with_averages(pd.DataFrame(rows, columns=COLUMNS))
    _check_comparable(frame, files)
    whole = pd.concat(items, ignore_index=True) if items else pd.DataFrame(columns=ITEM_COLUMNS)
    return Results(frame, whole)


def collect_validations(
    files: Mapping[str, Path], shown: Shown, recipes: Mapping[str, Any] | None = None
) -> Results:
    """The frame of perplexities on validation text, by the path of their cell; without items."""
    rows = []
    for path, file in files.items():
        found = _read(file)
        _check_cell(path, file, found)
        _check_recipe(path, file, found.get("recipe"), recipes)
        facts = _cell(found, found.get("recipe", {}), shown) | _computed(found)
        rows.append(facts | _perplexity("validation_ppl", found["perplexity"]))
    return Results(pd.DataFrame(rows, columns=COLUMNS), pd.DataFrame(columns=ITEM_COLUMNS))


@cache
def _schema() -> Any:
    return read_yaml(Path(__file__).with_name("evaluation.schema.yaml"))


def _rows(
    path: str, files: Files, shown: Shown, recipes: Mapping[str, Any] | None
) -> Iterator[Record]:
    """The measures of one cell, a row each."""
    evaluation = _read(files.evaluation)
    for problem in schema_problems(evaluation, _schema(), str(files.evaluation)):
        raise ValueError(problem)
    provenance = evaluation.get("provenance", {})
    _check_cell(path, files.evaluation, evaluation)
    _check_recipe(path, files.evaluation, provenance.get("recipe"), recipes)
    manifest = _read(files.manifest) if files.manifest else {}
    facts = _cell(evaluation, provenance.get("recipe", {}), shown)
    facts |= _computed(provenance) | _pruned(manifest)
    yield facts | _measure("achieved_sparsity", evaluation["achieved_sparsity"], "fraction")
    for key, name in _PERPLEXITIES.items():
        if key in evaluation:
            yield facts | _perplexity(name, evaluation[key])
    for name, result in evaluation["tasks"].items():
        if (metric := result.get("metric", DEFAULT)) not in result:
            raise ValueError(
                f"{files.evaluation}: tasks.{name} has no {metric}: delete it and run again"
            )
        yield from (facts | row for row in _task(name, result, shown.tasks.get(name, {})))
    cost = manifest.get("pruning", {}).get("cost", {})
    for name, key in _COSTS.items():
        if cost.get(key) is not None:
            yield facts | _measure(name, cost[key], name.rpartition("_")[2])


def _task(name: str, result: Mapping[str, Any], shown: Mapping[str, Any]) -> Iterator[Record]:
    """A task's own measure, and its acc_norm where that is another."""
    metric = result.get("metric", DEFAULT)
    averaged = bool(shown.get("averaged", True))
    title = str(shown.get("title", name))
    if result["task"].startswith(GENERATED):
        title = f"mini-{title}"
    asked = {
        "task": result["task"],
        "task_version": result["version"],
        "items": result["samples"],
        "fewshot": result.get("fewshot", 0),
    }
    for measured in dict.fromkeys([metric, "acc_norm"]):
        if measured not in result:
            continue
        is_own = measured == metric
        scale, unit = (100, "percent") if is_share(measured) else (1, measured)
        stderr = scale * float(result.get(f"{measured}_stderr", math.nan))
        yield {
            **_measure(name if is_own else f"{name}_norm", scale * result[measured], unit, stderr),
            **asked,
            "title": title if is_own else f"{title} (norm)",
            "metric": measured,
            "chance": 100 * result.get("chance", math.nan) if is_own else math.nan,
            "averaged": is_own and averaged,
        }


def _with_averages(frame: pd.DataFrame) -> pd.DataFrame:
    """The frame with each cell's average over the tasks that count, and its recovered share."""
    averaged = frame[frame["averaged"]]
    rows = []
    for _, of_cell in averaged.groupby(CELL, sort=False):
        error = math.sqrt((of_cell["stderr"] ** 2).sum(skipna=False)) / len(of_cell)
        measured = _measure("average", of_cell["value"].mean(), "percent", error)
        chance = of_cell["chance"].mean(skipna=False)
        rows.append(of_cell.iloc[0].to_dict() | measured | {"chance": chance})
    averages = pd.DataFrame(rows, columns=COLUMNS)
    shares = averages.assign(
        measure="recovered_share",
        title="Recovered",
        value=recovered_shares(averages),
        stderr=math.nan,
        chance=math.nan,
    )
    averages["title"] = "Average"
    whole = pd.concat([frame, averages, shares], ignore_index=True)
    order = {place: number for number, place in enumerate(dict.fromkeys(place_of(frame)))}
    whole = whole.assign(order=[order[place] for place in place_of(whole)])
    return whole.sort_values("order", kind="stable", ignore_index=True).drop(columns="order")


def _measure(name: str, value: float, unit: str, stderr: float = math.nan) -> Record:
    found = {"measure": name, "title": name, "value": float(value), "stderr": stderr, "unit": unit}
    return {"items": 0, "chance": math.nan, "averaged": False, "task": "", "task_version": "",
            "metric": "", "fewshot": 0, **found}  # fmt: skip


def _perplexity(name: str, quality: Mapping[str, float]) -> Record:
    return _measure(name, quality["value"], "perplexity", quality.get("stderr", math.nan))


def _cell(found: Mapping[str, Any], recipe: Mapping[str, Any], shown: Shown) -> Record:
    """What names the cell, and what it is a variant of, where that was recorded."""
    method = found["method"]
    masks = recipe.get("checkpoint", {}).get("masks", {})  # none of the dense model
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
    }


def _computed(provenance: Mapping[str, Any]) -> Record:
    """In what the result was computed, which is no setting: a CPU may lack bfloat16."""
    return {
        "dtype": str(provenance.get("dtype", UNKNOWN)),
        "versions": _versions(provenance, _EVALUATING),
        "device": str(provenance.get("gpu") or provenance.get("device", "")),
        "commit": str(provenance.get("git_commit", "")),
    }


def _pruned(manifest: Mapping[str, Any]) -> Record:
    """The dtype of pruning or training, and the versions of hardening: pruning records none."""
    if not manifest:
        return {}
    pruning = manifest["pruning"]
    # A method with a rule of its own has no device there, and its dtype is that of the weights
    # that it handed over: what it computed in is not recorded.
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
        raise ValueError(
            f"{file} is not there: make it, or leave its cell out of the grid"
        ) from None
    if not isinstance(found, dict):
        raise ValueError(f"{file} is damaged: delete it and run again")
    return found


def _check_cell(path: str, file: Path, found: Mapping[str, Any]) -> None:
    names = ("model", "method", "sparsity", "seed")
    of = Cell(*(found.get(name) for name in names)).path  # type: ignore[arg-type]
    if of != path:
        raise ValueError(f"{file} is of {of}, not of {path}: delete it and run again")


def _check_recipe(
    path: str, file: Path, recorded: Mapping[str, Any] | None, recipes: Mapping[str, Any] | None
) -> None:
    """Refuse a result that this run would not make: a frame holds one set of settings."""
    if recipes is None:
        return
    if path not in recipes:
        raise ValueError(f"{file}: {path} is no cell of this run")
    if recorded is None:
        raise ValueError(
            f"{file} does not say what settings it was made with: run it again (delete the file)"
        )
    check(file, recorded, recipes[path])


def _check_items(file: Path, items: pd.DataFrame, measured: Sequence[Record]) -> None:
    """Refuse items that are not those of the tasks that count: errors would be of others."""
    counts = items["measure"].value_counts()
    for row in measured:
        found, name = counts.get(row["measure"], 0), row["measure"]
        if row["averaged"] and found != row["items"]:
            raise ValueError(
                f"{file} has {found} items of {name}, of which {row['items']} were asked: evaluate "
                f"again, or, where its score is no mean over items, set "
                f"evaluation.tasks.{name}.averaged to false"
            )


def _check_comparable(frame: pd.DataFrame, files: Mapping[str, Files]) -> None:
    """Refuse cells of which one answered other tasks or items than the first."""
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
