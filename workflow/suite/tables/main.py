"""Tables of the suite: `main.csv`, and the same numbers as GitHub Markdown and LaTeX.

The writers take what `suite.tables.evaluations.main_table` gives, in the order in which it is
shown. Where the tasks are generated ones, or results were not computed alike, every table says so
itself, wherever it is pasted.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from suite.artifacts.files import replacing
from suite.plan.cell import DENSE
from suite.plan.methods import base_method, method_label
from suite.tables.evaluations import TASKS, Evaluated
from suite.tables.generated import SENTENCE, any_generated, bold_sentence, task_headings
from suite.tables.markdown import escaped, table
from suite.tables.mixed import lines_below, sentence
from suite.tables.numbers import NONE, PLUS_MINUS, number, perplexity
from suite.tables.recovered import DEFINITION, recovered_shares

_TASK_HEADINGS = ("PIQA", "ARC-E", "ARC-C", "WinoG.", "OBQA", "MMLU")  # of TASKS

_NARROW_HEADINGS = ("Method", *_TASK_HEADINGS, "Avg.", "PPL")  # of the table for two columns

# By method, as written in the column; None for tables without it.
Patterns = Mapping[str, str] | None

_CAPTION = (
    "Zero-shot accuracy (lm-evaluation-harness `acc`, in percent, higher is better), the plain "
    "mean of the six tasks, and perplexity (lower is better). "
    "Best pruned result of each model and sparsity in bold, where there are several methods."
)
_CAPTION_IN_DOMAIN = (
    " In-domain perplexity is that of unseen documents of the kind that methods learn from."
)
_CAPTION_CONTROLS = " Controls are the best of nothing."
_CAPTION_SEEDS = " Mean ± sample standard deviation where several seeds were run."
_CAPTION_MEANS = " Means where several seeds were run."


@dataclass(frozen=True)
class _Style:
    """What differs between the two printed tables."""

    escaped: Callable[[str], str]
    bold: str
    plus_minus: str


_LATEX_ESCAPES = str.maketrans(
    {
        "\\": r"\textbackslash{}",
        "~": r"\textasciitilde{}",
        "^": r"\textasciicircum{}",
        "±": r"$\pm$",
        **{sign: f"\\{sign}" for sign in "&%$#_{}"},
    }
)
_MARKDOWN = _Style(escaped, "**{}**", " ± ")
_LATEX = _Style(lambda text: text.translate(_LATEX_ESCAPES), r"\textbf{{{}}}", r" $\pm$ ")


def frame_of(results: Sequence[Evaluated], patterns: Patterns = None) -> pd.DataFrame:
    """The columns of `main.csv`, one row a cell."""
    in_domain = _with_in_domain(results)
    return pd.DataFrame(
        {
            "model": result.cell.model,
            "method": result.cell.method,
            "implementation": result.implementation,
            **({"pattern": patterns[result.cell.method]} if patterns else {}),
            "sparsity": result.cell.sparsity,
            "seed": result.cell.seed,
            "tasks": result.tasks,
            "achieved_sparsity": result.achieved_sparsity,
            "ppl": result.perplexity,
            "ppl_stderr": result.perplexity_stderr,
            **(_in_domain_columns(result) if in_domain else {}),
            **{task: result.accuracy[task] for task in TASKS},
            "average": result.average,
            "recovered_share": share,
            **{f"{task}_stderr": result.stderr[task] for task in TASKS},
            "average_stderr": result.average_stderr,
            **{f"{task}_norm": result.norm[task] for task in TASKS if task in result.norm},
            "dtype": result.computed.dtype,
            "versions": result.computed.packages,
            "pruning_dtype": "" if result.cell.method == DENSE else result.pruned.dtype,
            "hardening_versions": result.pruned.packages,
        }
        for result, share in zip(results, recovered_shares(results), strict=True)
    )


def write_frame(frame: pd.DataFrame, path: Path) -> None:
    """Write a table as CSV, an unknown number as an empty field."""
    with replacing(path) as temporary:
        # Ten digits are more than any result has, and hide that 100 * 0.57 is 56.99999999999999.
        frame.to_csv(temporary, index=False, float_format="%.10g", lineterminator="\n")


def write_lines(path: Path, lines: Sequence[str]) -> None:
    """Write a text file, UTF-8 and with the same line ends everywhere."""
    with replacing(path) as temporary:
        temporary.write_text("\n".join(lines) + "\n", encoding="utf-8", newline="\n")


def write_csv(results: Sequence[Evaluated], path: Path, patterns: Patterns = None) -> None:
    """Write `main.csv`: one row a cell, in the order given.

    With `patterns`, here and below, methods are told apart by them in a column of its own.
    """
    write_frame(frame_of(results, patterns), path)


def write_markdown(
    results: Sequence[Evaluated], path: Path, scale: str, patterns: Patterns = None
) -> None:
    """Write the printed table as GitHub Markdown, one block a model; `scale` is for its caption."""
    first = _first_headings(patterns)
    tasks = task_headings(_TASK_HEADINGS, any_generated(results))
    second = ["In-domain perplexity"] if _with_in_domain(results) else []
    headings = [*first, *tasks, "Average", "Recovered", "Perplexity", *second]
    lines = [bold_sentence(any_generated(results)) + _caption(results, scale)]
    for model, rows in _blocks(results, _MARKDOWN, patterns):
        lines += ["", f"### {model}", ""]
        lines += table(headings, rows, "l" + "r" * (len(headings) - 1))
    write_lines(path, [*lines, *lines_below(sentence(results))])


def write_latex(
    results: Sequence[Evaluated], path: Path, scale: str, patterns: Patterns = None
) -> None:
    r"""Write the same as a LaTeX `longtable`, which breaks between models if a page is not enough.

    The document needs \usepackage{booktabs,longtable} and one column.
    """
    first = _first_headings(patterns)
    second = ["In-d."] if _with_in_domain(results) else []
    headings = [*first, *_TASK_HEADINGS, "Avg.", "Rec.", "PPL", *second]
    label, spacing = ("tab:patterns", "1.4pt") if patterns else ("tab:main", "2.3pt")
    caption = _latex_caption(results, _caption(results, scale))
    if any_generated(results):
        caption = f"{_LATEX.bold.format(SENTENCE)} {caption}"
    head = [
        r"\toprule",
        *_spanned(results, len(first), len(headings)),
        rf"{' & '.join(headings)} \\",
        r"\midrule",
    ]
    lines = [
        # Eleven columns fit a page of the article class at this size and spacing; twelve hang into
        # both of its margins a little.
        rf"\begingroup\scriptsize\setlength{{\tabcolsep}}{{{spacing}}}",
        r"\setlength{\LTleft}{0pt plus 1fill minus 15pt}\setlength{\LTright}{\LTleft}",
        rf"\begin{{longtable}}{{@{{}}l{'r' * (len(headings) - 1)}@{{}}}}",
        rf"\caption{{{caption}}}\label{{{label}}} \\",
        *head,
        r"\endfirsthead",
        *head,
        r"\endhead",
    ]
    for block, (model, rows) in enumerate(_blocks(results, _LATEX, patterns)):
        title = rf"\multicolumn{{{len(headings)}}}{{@{{}}l}}{{\textit{{{model}}}}}"
        body = [title, *(" & ".join(row) for row in rows)]
        lines += [r"\midrule"] if block else []
        lines += [rf"{line} \\*" for line in body[:-1]] + [rf"{body[-1]} \\"]
    write_lines(path, [*lines, r"\bottomrule", r"\end{longtable}", r"\endgroup"])


def write_tabular(results: Sequence[Evaluated], path: Path, scale: str) -> None:
    r"""Write accuracies, average and perplexity as a LaTeX `table*` a model, for two columns.

    A model is one block a sparsity, and its table has to fit on a page. The document needs
    \usepackage{booktabs}.
    """
    kind = f"{_LATEX.bold.format(SENTENCE)} " if any_generated(results) else ""
    caption = _latex_caption(results, _narrow_caption(results, scale))
    texts = _texts(results, _LATEX, None)[["method", *TASKS, "average", "ppl"]]
    texts = texts.map(lambda text: text.partition(_LATEX.plus_minus)[0])
    lines: list[str] = []
    for index, (model, rows) in enumerate(texts.groupby(level="model", sort=False), 1):
        lines += [
            r"\begin{table*}",
            r"\centering\small",
            rf"\caption{{{kind}{_LATEX.escaped(str(model))}. {caption}}}\label{{tab:main-{index}}}",
            rf"\begin{{tabular}}{{@{{}}l{'r' * (len(_NARROW_HEADINGS) - 1)}@{{}}}}",
            r"\toprule",
            *_spanned(results, 1, len(_NARROW_HEADINGS)),
            rf"{' & '.join(_NARROW_HEADINGS)} \\",
            *_sparsity_blocks(rows),
            r"\bottomrule",
            r"\end{tabular}",
            r"\end{table*}",
        ]
    write_lines(path, lines)


def _sparsity_blocks(rows: pd.DataFrame) -> Iterator[str]:
    """The rows of a model below a title for each sparsity, which the dense model needs not."""
    for sparsity, block in rows.groupby(level="sparsity", sort=False):
        yield r"\midrule"
        if sparsity:
            title = rf"\textit{{sparsity {sparsity:g}}}"
            yield rf"\multicolumn{{{len(_NARROW_HEADINGS)}}}{{@{{}}l}}{{{title}}} \\"
        yield from (rf"{' & '.join(row)} \\" for row in block.to_numpy().tolist())


def _spanned(results: Sequence[Evaluated], before: int, columns: int) -> list[str]:
    """What stands above the headings of generated tasks.

    Six headings that each say so would be wider than the page.
    """
    return _spanning("generated miniature tasks", before, columns) if any_generated(results) else []


def _spanning(text: str, before: int, columns: int) -> list[str]:
    """A heading above those of the tasks, which come after the first `before` columns."""
    count = len(_TASK_HEADINGS)
    heading = rf"\multicolumn{{{count}}}{{c}}{{{text}}}"
    cells = [*[""] * before, heading, *[""] * (columns - before - count)]
    return [
        rf"{' & '.join(cells)} \\",
        rf"\cmidrule(lr){{{before + 1}-{before + count}}}",
    ]


def _first_headings(patterns: Patterns) -> list[str]:
    return ["Method", *(["Pattern"] if patterns else []), "Sparsity"]


def _blocks(
    results: Sequence[Evaluated], style: _Style, patterns: Patterns
) -> Iterator[tuple[str, list[list[str]]]]:
    """The printed rows of each model."""
    for model, block in _texts(results, style, patterns).groupby(level="model", sort=False):
        yield style.escaped(str(model)), block.to_numpy().tolist()


def _texts(results: Sequence[Evaluated], style: _Style, patterns: Patterns) -> pd.DataFrame:
    """A row a model, sparsity and method: means over seeds, their spread, the best in bold."""
    frame = frame_of(results, patterns)
    sparsity = frame["sparsity"].astype(float)
    groups = frame.groupby(["model", sparsity, "method"], sort=False)
    perplexities = [name for name in ("ppl", "in_domain_ppl") if name in frame]
    numbers = groups[[*TASKS, "average", "recovered_share", *perplexities]]
    printed = _print(numbers.mean(), numbers.std(), perplexities)
    # Compared as printed, so that a reader never sees two equal numbers and one of them bold.
    scores = printed.map(_without_spread).replace(NONE, "nan").astype(float)
    scores[perplexities] *= -1
    # A control is never the best, nor is a method the best that has only controls beside it.
    controls = {result.cell.method for result in results if result.control}
    scores.loc[scores.index.isin(controls, level="method")] = math.nan
    places = scores.groupby(level=["model", "sparsity"])
    best = scores == places.transform("max")
    # A method without another beside it, such as dense, is not the best of anything.
    best.loc[places["ppl"].transform("count") == 1] = False
    texts = printed.mask(best, printed.map(lambda text: _bold(text, style)))
    texts = texts.map(lambda text: text.replace(PLUS_MINUS, style.plus_minus))
    texts.insert(0, "sparsity", groups["sparsity"].first())
    methods = texts.index.get_level_values("method")
    if patterns:
        texts.insert(0, "pattern", methods.map(patterns))
        methods = methods.map(base_method)
    labels = methods.map(method_label)
    texts.insert(0, "method", labels.map(style.escaped))
    return texts


def _in_domain_columns(result: Evaluated) -> dict[str, float]:
    return {"in_domain_ppl": result.in_domain, "in_domain_ppl_stderr": result.in_domain_stderr}


def _with_in_domain(results: Sequence[Evaluated]) -> bool:
    return not all(math.isnan(result.in_domain) for result in results)


def _print(means: pd.DataFrame, spreads: pd.DataFrame, perplexities: Sequence[str]) -> pd.DataFrame:
    """Every number with its spread; a single seed has none."""
    columns = {
        name: [
            (perplexity if name in perplexities else number)(mean, error=spread)
            for mean, spread in zip(means[name], spreads[name], strict=True)
        ]
        for name in means
    }
    return pd.DataFrame(columns, index=means.index)


def _without_spread(text: str) -> str:
    return text.partition(PLUS_MINUS)[0]


def _bold(text: str, style: _Style) -> str:
    value = _without_spread(text)
    return style.bold.format(value) + text.removeprefix(value)


def _caption(results: Sequence[Evaluated], scale: str) -> str:
    added = f" {DEFINITION}" + (_CAPTION_IN_DOMAIN if _with_in_domain(results) else "")
    added += _of_controls(results) + (_CAPTION_SEEDS if _has_seeds(results) else "")
    return f"Scale `{scale}`. {_CAPTION}{added}"


def _latex_caption(results: Sequence[Evaluated], caption: str) -> str:
    """A caption without Markdown, which ends with how results mix: nothing stands below a table."""
    mixed = sentence(results)
    return _LATEX.escaped(caption.replace("`", "") + (f" {mixed}" if mixed else ""))


def _narrow_caption(results: Sequence[Evaluated], scale: str) -> str:
    """Of the table without recovered share, in-domain perplexity and spread."""
    added = _of_controls(results) + (_CAPTION_MEANS if _has_seeds(results) else "")
    return f"Scale `{scale}`. {_CAPTION}{added}"


def _of_controls(results: Sequence[Evaluated]) -> str:
    has_controls = any(result.control for result in results)
    return _CAPTION_CONTROLS if has_controls else ""


def _has_seeds(results: Sequence[Evaluated]) -> bool:
    """Whether a cell was run with several."""
    cells = {(result.cell.model, result.cell.method, result.cell.target) for result in results}
    return len(results) > len(cells)
