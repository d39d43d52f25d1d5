"""Tables of the suite: `main.csv`, and the same numbers as GitHub Markdown and LaTeX.

A cell of the grid is one evaluation file. `main_table` reads and checks the files; the writers
take its result. Accuracies are in percent everywhere after `read_cell`. Only the standard
library is used, because importing anything larger would cost more than the work itself.
"""

import csv
import io
import math
import statistics
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

from suite.files import read_json, replacing

DENSE = "dense"

# Column of main.csv -> heading of the printed tables, in the paper's order.
TASK_HEADINGS = {
    "piqa": "PIQA",
    "arc_easy": "ARC-E",
    "arc_challenge": "ARC-C",
    "winogrande": "WinoG.",
    "openbookqa": "OBQA",
    "mmlu": "MMLU",
}
TASKS = tuple(TASK_HEADINGS)

_METHOD_LABELS = {
    DENSE: "Dense",
    "magnitude": "Magnitude",
    "wanda": "Wanda",
    "sparsegpt": "SparseGPT",
    "thanos": "Thanos",
    "admm": "ADMM",
    "leap": "LEAP",
}

_CAPTION = (
    "Zero-shot accuracy (lm-evaluation-harness `acc`, in percent, higher is better), the plain "
    "mean of the six tasks, and perplexity (lower is better). "
    "Best pruned result of each model and sparsity in bold."
)
_CAPTION_SEEDS = " Mean ± sample standard deviation where several seeds were run."


def method_label(method: str) -> str:
    """How a method is written for readers; a method not known here keeps its own name."""
    return _METHOD_LABELS.get(method, method)


@dataclass(frozen=True)
class Cell:
    """One evaluated checkpoint. Accuracies and their standard errors are in percent."""

    model: str
    method: str
    sparsity: str
    seed: int
    achieved_sparsity: float
    perplexity: float
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
    evaluation = _load(path)
    tasks = _field(evaluation, "tasks", dict, path)
    if set(tasks) != set(TASKS):
        missing, extra = sorted(set(TASKS) - set(tasks)), sorted(set(tasks) - set(TASKS))
        raise ValueError(f"{path}: tasks: missing {missing}, unexpected {extra}")
    results = {task: _field(tasks, task, dict, path) for task in TASKS}
    return Cell(
        model=_field(evaluation, "model", str, path),
        method=_field(evaluation, "method", str, path),
        sparsity=_sparsity(evaluation, path),
        seed=_field(evaluation, "seed", int, path),
        achieved_sparsity=_fraction(evaluation, "achieved_sparsity", path),
        perplexity=_perplexity(evaluation, path),
        accuracy=_percent(results, "acc", path),
        stderr=_percent(results, "acc_stderr", path),
        norm=_percent({t: r for t, r in results.items() if "acc_norm" in r}, "acc_norm", path),
        protocol={task: _protocol(result, path) for task, result in results.items()},
    )


def main_table(
    evaluations: Sequence[Path], models: Sequence[str], methods: Sequence[str]
) -> list[Cell]:
    """Read the evaluation files of one scale and put them in the order of the tables.

    Models and methods come in the order given (dense always first, listed or not), then
    sparsity and seed ascending. Raises ValueError if a file is missing or malformed, if a cell
    occurs twice, if a model or method is not listed, or if two cells answered different tasks:
    numbers in one column must be comparable.
    """
    read = [(path, read_cell(path)) for path in evaluations]
    if not read:
        raise ValueError("no evaluation files given")
    _check_unique(read)
    _check_comparable(read)
    method_order = [DENSE, *(method for method in methods if method != DENSE)]
    for path, cell in read:
        _check_listed(path, "model", cell.model, models)
        _check_listed(path, "method", cell.method, method_order)

    def position(cell: Cell) -> tuple[int, bool, float, int, int]:
        return (
            list(models).index(cell.model),
            cell.method != DENSE,
            float(cell.sparsity),
            method_order.index(cell.method),
            cell.seed,
        )

    return sorted((cell for _, cell in read), key=position)


def write_csv(cells: Sequence[Cell], path: Path) -> None:
    """Write `main.csv`: one row a cell, in the order given."""
    rows = [_csv_row(cell) for cell in cells]
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    _write(path, text.getvalue())


def write_markdown(cells: Sequence[Cell], path: Path, scale: str) -> None:
    """Write the printed table as GitHub Markdown, one block a model; `scale` is for its caption."""
    header = ["Method", "Sparsity", *TASK_HEADINGS.values(), "Average", "Perplexity"]
    lines = [_caption(cells, scale)]
    for model, rows in _blocks(cells):
        lines += ["", f"### {_escape_markdown(model)}", "", _markdown_row(header)]
        lines.append(_markdown_row(["---", *["---:"] * (len(header) - 1)]))
        lines += [_markdown_row(row.texts(_MARKDOWN)) for row in rows]
    _write(path, "\n".join(lines) + "\n")


def write_latex(cells: Sequence[Cell], path: Path, scale: str) -> None:
    r"""Write the same as a LaTeX `table`; the document needs \usepackage{booktabs}."""
    header = ["Method", "Sparsity", *TASK_HEADINGS.values(), "Avg.", "PPL"]
    lines = [
        r"\begin{table}",
        r"\centering",
        # Ten columns: at this size and spacing they fit a page of the article class.
        r"\footnotesize",
        r"\setlength{\tabcolsep}{2.5pt}",
        rf"\caption{{{_escape_latex(_caption(cells, scale).replace('`', ''))}}}",
        r"\label{tab:main}",
        rf"\begin{{tabular}}{{@{{}}l{'r' * (len(header) - 1)}@{{}}}}",
        r"\toprule",
        _latex_row([_escape_latex(name) for name in header]),
    ]
    for model, rows in _blocks(cells):
        heading = rf"\textit{{{_escape_latex(model)}}}"
        lines += [r"\midrule", rf"\multicolumn{{{len(header)}}}{{l}}{{{heading}}} \\"]
        lines += [_latex_row(row.texts(_LATEX)) for row in rows]
    lines += [r"\bottomrule", r"\end{tabular}", r"\end{table}"]
    _write(path, "\n".join(lines) + "\n")


# Reading and checking


def _load(path: Path) -> dict[str, Any]:
    try:
        evaluation = read_json(path)
    except OSError as error:
        raise ValueError(f"{path}: cannot read the evaluation: {error.strerror}") from error
    if not isinstance(evaluation, dict):
        raise ValueError(f"{path}: an evaluation is a JSON object, not {type(evaluation).__name__}")
    return evaluation


def _field(record: Mapping[str, Any], name: str, kind: type, path: Path) -> Any:
    """Value of a required field; bool does not pass for a number."""
    if name not in record:
        raise ValueError(f"{path}: field {name!r} is missing")
    value = record[name]
    if not isinstance(value, kind) or isinstance(value, bool):
        raise ValueError(f"{path}: {name} must be of type {kind.__name__}, not {value!r}")
    return value


def _number(record: Mapping[str, Any], name: str, path: Path) -> float:
    value = record.get(name)
    if isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    return float(_field(record, name, float, path))


def _fraction(record: Mapping[str, Any], name: str, path: Path) -> float:
    value = _number(record, name, path)
    if not 0 <= value <= 1:  # also refuses NaN
        raise ValueError(f"{path}: {name} must be between 0 and 1, not {value!r}")
    return value


def _sparsity(evaluation: Mapping[str, Any], path: Path) -> str:
    text: str = _field(evaluation, "sparsity", str, path)
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 <= value < 1:
        raise ValueError(f"{path}: sparsity must be a number from 0 to below 1, not {text!r}")
    if (value == 0) != (evaluation["method"] == DENSE):
        raise ValueError(f"{path}: sparsity 0.0 and method {DENSE!r} belong together")
    return text


def _perplexity(evaluation: Mapping[str, Any], path: Path) -> float:
    value = _number(_field(evaluation, "perplexity", dict, path), "value", path)
    if not 0 < value < math.inf:  # also refuses NaN
        raise ValueError(f"{path}: perplexity must be positive and finite, not {value!r}")
    return value


def _percent(results: Mapping[str, dict[str, Any]], name: str, path: Path) -> dict[str, float]:
    return {task: 100 * _fraction(result, name, path) for task, result in results.items()}


def _protocol(result: Mapping[str, Any], path: Path) -> tuple[str, str, int]:
    task, version = _field(result, "task", str, path), _field(result, "version", str, path)
    return task, version, _field(result, "samples", int, path)


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
        if set(cell.norm) != set(reference.norm):
            raise ValueError(
                f"{path}: acc_norm is given for {sorted(cell.norm)}, but for "
                f"{sorted(reference.norm)} in {reference_path}"
            )


def _check_listed(path: Path, kind: str, name: str, known: Sequence[str]) -> None:
    if name not in known:
        raise ValueError(f"{path}: {kind} {name!r} is not among {list(known)}")


# Writing


def _csv_row(cell: Cell) -> dict[str, str]:
    numbers = {
        "achieved_sparsity": cell.achieved_sparsity,
        "ppl": cell.perplexity,
        **{task: cell.accuracy[task] for task in TASKS},
        "average": cell.average,
        **{f"{task}_stderr": cell.stderr[task] for task in TASKS},
        "average_stderr": cell.average_stderr,
        **{f"{task}_norm": cell.norm[task] for task in TASKS if task in cell.norm},
    }
    return {
        "model": cell.model,
        "method": cell.method,
        "sparsity": cell.sparsity,
        "seed": str(cell.seed),
        # Ten digits are more than any result has, and hide that 100 * 0.57 is 56.99999999999999.
        **{name: f"{value:.10g}" for name, value in numbers.items()},
    }


@dataclass(frozen=True)
class _Format:
    """What differs between the two printed tables."""

    escape: Callable[[str], str]
    bold: Callable[[str], str]
    plus_minus: str


@dataclass(frozen=True)
class _Row:
    """One printed row: a method at one sparsity, each number as mean and spread over seeds."""

    method: str
    sparsity: str
    numbers: tuple[str, ...]  # means as printed: the six tasks, average, perplexity
    spreads: tuple[str, ...]  # as printed; empty with a single seed
    bold: tuple[bool, ...]

    def texts(self, style: _Format) -> list[str]:
        texts = [style.escape(method_label(self.method)), self.sparsity]
        for index, number in enumerate(self.numbers):
            text = style.bold(number) if self.bold[index] else number
            texts.append(text + (style.plus_minus + self.spreads[index] if self.spreads else ""))
        return texts


def _blocks(cells: Sequence[Cell]) -> Iterator[tuple[str, list[_Row]]]:
    """Printed rows of each model, in the order of the cells."""
    for model, of_model in groupby(cells, key=lambda cell: cell.model):
        rows = []
        for _, of_sparsity in groupby(of_model, key=lambda cell: float(cell.sparsity)):
            by_method = [list(g) for _, g in groupby(of_sparsity, key=lambda cell: cell.method)]
            rows += _rows(by_method)
        yield model, rows


def _rows(by_method: Sequence[Sequence[Cell]]) -> list[_Row]:
    """Rows of one model and sparsity, the best of each column in bold."""
    columns = [[_numbers(cell) for cell in seeds] for seeds in by_method]
    means = [tuple(_print(statistics.fmean(x)) for x in zip(*c, strict=True)) for c in columns]
    # Compared as printed, so that a reader never sees two equal numbers and one of them bold.
    best = [max(map(float, column)) for column in zip(*means, strict=True)]
    best[-1] = min(float(row[-1]) for row in means)
    return [
        _Row(
            method=seeds[0].method,
            sparsity=seeds[0].sparsity,
            numbers=mean,
            spreads=_spreads(column) if len(seeds) > 1 else (),
            bold=tuple(
                seeds[0].method != DENSE and float(number) == top
                for number, top in zip(mean, best, strict=True)
            ),
        )
        for seeds, column, mean in zip(by_method, columns, means, strict=True)
    ]


def _numbers(cell: Cell) -> tuple[float, ...]:
    return (*(cell.accuracy[task] for task in TASKS), cell.average, cell.perplexity)


def _spreads(seeds: Sequence[tuple[float, ...]]) -> tuple[str, ...]:
    return tuple(_print(statistics.stdev(column)) for column in zip(*seeds, strict=True))


def _print(value: float) -> str:
    """Two decimals as in the paper; a broken model's perplexity in scientific notation."""
    return f"{value:.2e}" if value >= 1e4 else f"{value:.2f}"


def _caption(cells: Sequence[Cell], scale: str) -> str:
    seeds = Counter((cell.model, cell.method, float(cell.sparsity)) for cell in cells)
    return f"Scale `{scale}`. {_CAPTION}" + (_CAPTION_SEEDS if max(seeds.values()) > 1 else "")


def _markdown_row(texts: Sequence[str]) -> str:
    return f"| {' | '.join(texts)} |"


def _latex_row(texts: Sequence[str]) -> str:
    return rf"{' & '.join(texts)} \\"


def _escape_markdown(text: str) -> str:
    return "".join(f"\\{letter}" if letter in r"\`*_[]<>|#" else letter for letter in text)


_LATEX_SPECIAL = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "±": r"$\pm$",
    **{character: f"\\{character}" for character in "&%$#_{}"},
}


def _escape_latex(text: str) -> str:
    return "".join(_LATEX_SPECIAL.get(character, character) for character in text)


_MARKDOWN = _Format(_escape_markdown, lambda text: f"**{text}**", " ± ")
_LATEX = _Format(_escape_latex, lambda text: rf"\textbf{{{text}}}", r" $\pm$ ")


def _write(path: Path, text: str) -> None:
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="\n")
