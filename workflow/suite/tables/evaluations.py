"""Evaluation files: each is read into a `Cell`, and all of a scale are checked against each other.

Accuracies are in percent everywhere after `read_cell`.
"""

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from suite.artifacts.files import read_json
from suite.plan.cell import DENSE

# Columns of main.csv, in the paper's order.
TASKS = ("piqa", "arc_easy", "arc_challenge", "winogrande", "openbookqa", "mmlu")


@dataclass(frozen=True)
class Cell:
    """One evaluated checkpoint. Accuracies and their standard errors are in percent."""

    model: str
    method: str
    sparsity: str
    seed: int
    achieved_sparsity: float
    perplexity: float
    perplexity_stderr: float
    accuracy: Mapping[str, float]
    stderr: Mapping[str, float]
    norm: Mapping[str, float]  # only the tasks that define acc_norm
    protocol: Mapping[str, tuple[str, str, int]]  # task -> what was asked: name, version, samples

    @property
    def average(self) -> float:
        """Plain mean of the six accuracies, the paper's headline number."""
        return statistics.fmean(self.accuracy[task] for task in TASKS)

    @property
    def average_stderr(self) -> float:
        """Standard error of `average`, the tasks' errors taken as independent."""
        return math.sqrt(sum(self.stderr[task] ** 2 for task in TASKS)) / len(TASKS)


def read_cell(path: Path) -> Cell:
    """Read one evaluation file.

    Raises ValueError, naming the file and the field, if it is missing or malformed.
    """
    try:
        evaluation = read_json(path)
    except OSError as error:
        raise ValueError(f"{path}: cannot read the evaluation: {error.strerror}") from error
    try:
        return _cell(evaluation)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None


def read_cells(evaluations: Sequence[Path]) -> list[Cell]:
    """Read evaluation files whose numbers are to be compared with each other, in the order given.

    Raises ValueError if a file is missing or malformed, if a cell occurs twice, or if two cells
    answered different tasks.
    """
    return [cell for _, cell in _read(evaluations)]


def main_table(
    evaluations: Sequence[Path], models: Sequence[str], methods: Sequence[str]
) -> list[Cell]:
    """Read the evaluation files of one scale and put them in the order of the tables.

    Models and methods come in the order given (dense always first, listed or not), then
    sparsity and seed ascending. Raises ValueError if a file is missing or malformed, if a cell
    occurs twice, if a model or method is not listed, or if two cells answered different tasks:
    numbers in one column must be comparable.
    """
    read = _read(evaluations)
    method_order = [DENSE, *(method for method in methods if method != DENSE)]
    for path, cell in read:
        _check_listed(path, "model", cell.model, models)
        _check_listed(path, "method", cell.method, method_order)

    def position(cell: Cell) -> tuple[int, float, int, int]:
        # Dense comes first because its sparsity, and no other, is zero.
        method = method_order.index(cell.method)
        return list(models).index(cell.model), float(cell.sparsity), method, cell.seed

    return sorted((cell for _, cell in read), key=position)


def _read(evaluations: Sequence[Path]) -> list[tuple[Path, Cell]]:
    read = [(path, read_cell(path)) for path in evaluations]
    if not read:
        raise ValueError("no evaluation files given")
    _check_unique(read)
    _check_comparable(read)
    return read


def _cell(evaluation: Any) -> Cell:
    if not isinstance(evaluation, dict):
        raise ValueError(f"an evaluation is a JSON object, not {type(evaluation).__name__}")
    tasks = _field(evaluation, "tasks", dict)
    missing, extra = sorted(set(TASKS) - set(tasks)), sorted(set(tasks) - set(TASKS))
    if missing or extra:
        raise ValueError(f"tasks: missing {missing}, unexpected {extra}")
    results = {task: _field(tasks, task, dict) for task in TASKS}
    with_norm = {task: result for task, result in results.items() if "acc_norm" in result}
    method = _field(evaluation, "method", str)
    perplexity = _field(evaluation, "perplexity", dict)
    return Cell(
        model=_field(evaluation, "model", str),
        method=method,
        sparsity=_sparsity(_field(evaluation, "sparsity", str), method),
        seed=_field(evaluation, "seed", int),
        achieved_sparsity=_fraction(evaluation, "achieved_sparsity"),
        perplexity=_perplexity(perplexity),
        perplexity_stderr=float(_field(perplexity, "stderr", float)),
        accuracy={task: 100 * _fraction(result, "acc") for task, result in results.items()},
        stderr={task: 100 * _fraction(result, "acc_stderr") for task, result in results.items()},
        norm={task: 100 * _fraction(result, "acc_norm") for task, result in with_norm.items()},
        protocol={task: _protocol(result) for task, result in results.items()},
    )


def _field(record: Mapping[str, Any], name: str, kind: type) -> Any:
    """Value of a required field; an int passes for a float, and a bool for no number."""
    if name not in record:
        raise ValueError(f"field {name!r} is missing")
    value = record[name]
    if not isinstance(value, (int, float) if kind is float else kind) or isinstance(value, bool):
        raise ValueError(f"{name} must be of type {kind.__name__}, not {value!r}")
    return value


def _fraction(record: Mapping[str, Any], name: str) -> float:
    value = float(_field(record, name, float))
    if not 0 <= value <= 1:  # also refuses NaN
        raise ValueError(f"{name} must be between 0 and 1, not {value!r}")
    return value


def _sparsity(text: str, method: str) -> str:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 <= value < 1:
        raise ValueError(f"sparsity must be a number from 0 to below 1, not {text!r}")
    if (value == 0) != (method == DENSE):
        raise ValueError(f"sparsity 0.0 and method {DENSE!r} belong together")
    return text


def _perplexity(perplexity: Mapping[str, Any]) -> float:
    value = float(_field(perplexity, "value", float))
    if not 0 < value < math.inf:  # also refuses NaN
        raise ValueError(f"perplexity must be positive and finite, not {value!r}")
    return value


def _protocol(result: Mapping[str, Any]) -> tuple[str, str, int]:
    task, version = _field(result, "task", str), _field(result, "version", str)
    return task, version, _field(result, "samples", int)


def _check_unique(read: Sequence[tuple[Path, Cell]]) -> None:
    first: dict[tuple[str, str, float, int], Path] = {}
    for path, cell in read:
        key = (cell.model, cell.method, float(cell.sparsity), cell.seed)
        if key in first:
            raise ValueError(f"{path}: same cell as {first[key]}: {', '.join(map(str, key))}")
        first[key] = path


def _check_comparable(read: Sequence[tuple[Path, Cell]]) -> None:
    reference_path, reference = read[0]
    for path, cell in read:
        for task in TASKS:
            if cell.protocol[task] != reference.protocol[task]:
                raise ValueError(
                    f"{path}: {task} was asked as {cell.protocol[task]}, but as "
                    f"{reference.protocol[task]} in {reference_path} (task, version, samples)"
                )
        if cell.norm.keys() != reference.norm.keys():
            raise ValueError(
                f"{path}: acc_norm is given for {sorted(cell.norm)}, but for "
                f"{sorted(reference.norm)} in {reference_path}"
            )


def _check_listed(path: Path, kind: str, name: str, known: Sequence[str]) -> None:
    if name not in known:
        raise ValueError(f"{path}: {kind} {name!r} is not among {list(known)}")
