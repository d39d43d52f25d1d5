"""Tables of the suite: `main.csv`, and the same numbers as GitHub Markdown and LaTeX.

The writers take the cells of `suite.tables.evaluations.main_table`, in the order in which they
are shown.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from suite.artifacts.files import replacing
from suite.plan.cell import DENSE
from suite.plan.methods import base_method, method_label
from suite.tables.evaluations import TASKS, Cell

_TASK_HEADINGS = ("PIQA", "ARC-E", "ARC-C", "WinoG.", "OBQA", "MMLU")  # of TASKS

# By method, as written in the column; None for tables without it.
Patterns = Mapping[str, str] | None

_CAPTION = (
    "Zero-shot accuracy (lm-evaluation-harness `acc`, in percent, higher is better), the plain "
    "mean of the six tasks, and perplexity (lower is better). "
    "Best pruned result of each model and sparsity in bold."
)
_CAPTION_SEEDS = " Mean ± sample standard deviation where several seeds were run."


@dataclass(frozen=True)
class _Style:
    """What differs between the two printed tables."""

    escapes: dict[int, str]
    bold: str
    plus_minus: str


_MARKDOWN = _Style(str.maketrans({sign: f"\\{sign}" for sign in r"\`*_[]<>|#"}), "**{}**", " ± ")
_LATEX = _Style(
    str.maketrans(
        {
            "\\": r"\textbackslash{}",
            "~": r"\textasciitilde{}",
            "^": r"\textasciicircum{}",
            "±": r"$\pm$",
            **{sign: f"\\{sign}" for sign in "&%$#_{}"},
        }
    ),
    r"\textbf{{{}}}",
    r" $\pm$ ",
)


def markdown_text(text: str) -> str:
    """`text` with the signs escaped that mean something in Markdown."""
    return text.translate(_MARKDOWN.escapes)


def write_frame(frame: pd.DataFrame, path: Path) -> None:
    """Write a table as CSV, an unknown number as an empty field."""
    with replacing(path) as temporary:
        # Ten digits are more than any result has, and hide that 100 * 0.57 is 56.99999999999999.
        frame.to_csv(temporary, index=False, float_format="%.10g", lineterminator="\n")


def write_lines(path: Path, lines: Sequence[str]) -> None:
    """Write a text file, UTF-8 and with the same line ends everywhere."""
    with replacing(path) as temporary:
        temporary.write_text("\n".join(lines) + "\n", encoding="utf-8", newline="\n")


def write_csv(cells: Sequence[Cell], path: Path, patterns: Patterns = None) -> None:
    """Write `main.csv`: one row a cell, in the order given.

    With `patterns`, here and below, methods are told apart by them in a column of its own.
    """
    write_frame(_frame(cells, patterns), path)


def write_markdown(
    cells: Sequence[Cell], path: Path, scale: str, patterns: Patterns = None
) -> None:
    """Write the printed table as GitHub Markdown, one block a model; `scale` is for its caption."""
    header = [*_first_headings(patterns), *_TASK_HEADINGS, "Average", "Perplexity"]
    rule = ["---", *["---:"] * (len(header) - 1)]
    lines = [_caption(cells, scale)]
    for model, rows in _blocks(cells, _MARKDOWN, patterns):
        lines += ["", f"### {model}", ""]
        lines += [f"| {' | '.join(row)} |" for row in (header, rule, *rows)]
    write_lines(path, lines)


def write_latex(cells: Sequence[Cell], path: Path, scale: str, patterns: Patterns = None) -> None:
    r"""Write the same as a LaTeX `longtable`, which breaks between models if a page is not enough.

    The document needs \usepackage{booktabs,longtable} and one column.
    """
    header = [*_first_headings(patterns), *_TASK_HEADINGS, "Avg.", "PPL"]
    label, size, spacing = "tab:main", "footnotesize", "2.5pt"
    if patterns:
        label, size, spacing = "tab:patterns", "scriptsize", "1.4pt"
    caption = _caption(cells, scale).replace("`", "").translate(_LATEX.escapes)
    head = [r"\toprule", rf"{' & '.join(header)} \\", r"\midrule"]
    lines = [
        # Ten columns, or eleven: at this size and spacing they fit a page of the article class.
        rf"\begingroup\{size}\setlength{{\tabcolsep}}{{{spacing}}}",
        rf"\begin{{longtable}}{{@{{}}l{'r' * (len(header) - 1)}@{{}}}}",
        rf"\caption{{{caption}}}\label{{{label}}} \\",
        *head,
        r"\endfirsthead",
        *head,
        r"\endhead",
    ]
    for block, (model, rows) in enumerate(_blocks(cells, _LATEX, patterns)):
        title = rf"\multicolumn{{{len(header)}}}{{@{{}}l}}{{\textit{{{model}}}}}"
        body = [title, *(" & ".join(row) for row in rows)]
        lines += [r"\midrule"] if block else []
        lines += [rf"{line} \\*" for line in body[:-1]] + [rf"{body[-1]} \\"]
    write_lines(path, [*lines, r"\bottomrule", r"\end{longtable}", r"\endgroup"])


def _first_headings(patterns: Patterns) -> list[str]:
    return ["Method", *(["Pattern"] if patterns else []), "Sparsity"]


def _frame(cells: Sequence[Cell], patterns: Patterns) -> pd.DataFrame:
    """The columns of `main.csv`, one row a cell."""
    return pd.DataFrame(
        {
            "model": cell.model,
            "method": cell.method,
            **({"pattern": patterns[cell.method]} if patterns else {}),
            "sparsity": cell.sparsity,
            "seed": cell.seed,
            "achieved_sparsity": cell.achieved_sparsity,
            "ppl": cell.perplexity,
            **{task: cell.accuracy[task] for task in TASKS},
            "average": cell.average,
            **{f"{task}_stderr": cell.stderr[task] for task in TASKS},
            "average_stderr": cell.average_stderr,
            **{f"{task}_norm": cell.norm[task] for task in TASKS if task in cell.norm},
        }
        for cell in cells
    )


def _blocks(
    cells: Sequence[Cell], style: _Style, patterns: Patterns
) -> Iterator[tuple[str, list[list[str]]]]:
    """The printed rows of each model: means over seeds, their spread, the best in bold."""
    frame = _frame(cells, patterns)
    sparsity = frame["sparsity"].astype(float)
    groups = frame.groupby(["model", sparsity, "method"], sort=False)
    numbers = groups[[*TASKS, "average", "ppl"]]
    means, spreads = numbers.mean().map(_print), numbers.std()
    # Compared as printed, so that a reader never sees two equal numbers and one of them bold.
    scores = means.astype(float)
    scores["ppl"] *= -1
    best = scores == scores.groupby(level=["model", "sparsity"]).transform("max")
    best.loc[best.index.get_level_values("method") == DENSE] = False
    texts = means.mask(best, means.map(style.bold.format))
    # A single seed has no spread.
    texts = texts.mask(spreads.notna(), texts + style.plus_minus + spreads.map(_print))
    texts.insert(0, "sparsity", groups["sparsity"].first())
    methods = texts.index.get_level_values("method")
    if patterns:
        texts.insert(0, "pattern", methods.map(patterns))
        methods = methods.map(base_method)
    labels = methods.map(method_label)
    texts.insert(0, "method", labels.map(lambda label: label.translate(style.escapes)))
    for model, block in texts.groupby(level="model", sort=False):
        yield str(model).translate(style.escapes), block.to_numpy().tolist()


def _print(value: float) -> str:
    """Two decimals as in the paper; a broken model's perplexity in scientific notation."""
    return f"{value:.2e}" if value >= 1e4 else f"{value:.2f}"


def _caption(cells: Sequence[Cell], scale: str) -> str:
    rows = {(cell.model, cell.method, float(cell.sparsity)) for cell in cells}
    return f"Scale `{scale}`. {_CAPTION}" + (_CAPTION_SEEDS if len(cells) > len(rows) else "")
