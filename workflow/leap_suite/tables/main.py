"""Main table of a grid or study, with every measure: CSV, Markdown and LaTeX.

Captions state generated tasks and mixed dtypes or versions, so that a pasted table still does.
"""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial

import pandas as pd

from leap_suite.plan.methods import FREE, base_method, method_label
from leap_suite.results.frame import CELL, Results, written
from leap_suite.results.mixed import sentence
from leap_suite.tables.caption import SENTENCE, bold_sentence, counted, measured, recovered
from leap_suite.tables.context import Context
from leap_suite.tables.entries import NONE, PLUS_MINUS, escaped, number, perplexity, table
from leap_suite.tables.text import csv_text, lines_text, mixed_lines

_IN_DOMAIN = (
    " In-domain perplexity is that of unseen documents of the kind that methods learn from."
)
_ADDED = {
    "average_norm": (
        " Norm.: the average with `acc_norm` in place of `acc` for tasks that have it."
    ),
    "flips": (
        " Flips: items, in percent, that one of the dense and the pruned model answers correctly "
        "and the other does not (lower is better)."
    ),
    "kl": (
        " KL: divergence of the next token's distribution from the dense model's, in nats per "
        "token of the perplexity's text (lower is better)."
    ),
}


@dataclass(frozen=True)
class Style:
    """Markup of Markdown or LaTeX."""

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
_MARKDOWN = Style(escaped, "**{}**", PLUS_MINUS)
LATEX = Style(lambda text: text.translate(_LATEX_ESCAPES), r"\textbf{{{}}}", r" $\pm$ ")


def main(results: Results, context: Context) -> Mapping[str, str]:
    """One row per cell as CSV; means over seeds, grouped by model, as Markdown and LaTeX."""
    return {
        "csv": csv_text(main_frame(results)),
        "md": lines_text(_markdown(results, context)),
        "tex": lines_text(_latex(results, context)),
    }


def main_frame(results: Results) -> pd.DataFrame:
    """Contents of `main.csv`: one row per cell, by model and then by sparsity."""
    tasks = [task.name for task in results.tasks]
    perplexities = [name for ppl in results.perplexities for name in (ppl, f"{ppl}_stderr")]
    cells = _sorted(results).assign(tasks=results.task_kind)
    columns = [
        *("model", "method", "implementation"),
        *(["pattern"] if has_patterns(results) else []),
        *("sparsity", "seed", "tasks", "achieved_sparsity", *perplexities, *tasks),
        *("average", "average_norm", "recovered_share", "flips"),
        *("kl", "kl_stderr", "in_domain_kl", "in_domain_kl_stderr"),
        *(f"{task}_stderr" for task in tasks),
        "average_stderr",
        *(f"{task}_norm" for task in tasks),
        *("dtype", "versions", "pruning_dtype", "hardening_versions"),
    ]
    frame = cells[[column for column in columns if column in cells]]
    return frame.assign(sparsity=cells["sparsity"].map(written))


def added(results: Results) -> str:
    """Definitions of the columns that not every run has."""
    return "".join(_ADDED[name] for name in (*normed(results), *damage(results)))


def damage(results: Results) -> dict[str, str]:
    """Headings of the distances from the dense model that are known, by measure."""
    headings = {"flips": "Flips", "kl": "KL"}
    return {name: text for name, text in headings.items() if name in results.cells}


def normed(results: Results) -> dict[str, str]:
    """Heading of the average by normalised accuracy, by measure, if it is known."""
    return {"average_norm": "Norm."} if "average_norm" in results.cells else {}


def has_patterns(results: Results) -> bool:
    """Whether a method has a pattern such as 2:4, so that tables need a pattern column."""
    return not results.cells["pattern"].isin(["", "dense", FREE]).all()


def caption(results: Results, context: Context, added: str, seeds: str) -> str:
    """Caption of every printed main table; `seeds` is added where a cell has several."""
    controls = " Controls are the best of nothing." if results.cells["control"].any() else ""
    several = results.cells.duplicated(CELL[:-1]).any()
    return (
        f"Scale `{context.scale}`. {measured(results)}, the plain mean of {counted(results)}, and "
        "perplexity (lower is better). Best pruned result of each model and sparsity in bold, "
        f"where there are several methods.{added}{controls}{seeds if several else ''}"
    )


def latex_caption(results: Results, text: str) -> str:
    """Caption as LaTeX, including the note on mixed results."""
    mixed = sentence(results.cells)
    whole = LATEX.escaped(text.replace("`", "") + (f" {mixed}" if mixed else ""))
    return f"{LATEX.bold.format(SENTENCE)} {whole}" if results.generated else whole


def latex_titles(results: Results) -> list[str]:
    """Headings of tasks; `spanned` marks generated ones."""
    return [LATEX.escaped(task.title.removeprefix("mini-")) for task in results.tasks]


def spanned(results: Results, before: int, columns: int) -> list[str]:
    """Heading across all generated tasks, after the first `before` columns; [] for real tasks."""
    if not results.generated:
        return []
    count = len(results.tasks)
    heading = rf"\multicolumn{{{count}}}{{c}}{{generated miniature tasks}}"
    cells = [*[""] * before, heading, *[""] * (columns - before - count)]
    return [
        rf"{' & '.join(cells)} \\",
        rf"\cmidrule(lr){{{before + 1}-{before + count}}}",
    ]


def printed(results: Results, style: Style) -> pd.DataFrame:
    """Formatted means and spreads over seeds, best in bold, by model, sparsity and method."""
    cells = _sorted(results)
    groups = cells.groupby(["model", "sparsity", "method"], sort=False)
    tasks = [task.name for task in results.tasks]
    shown = [*normed(results), "recovered_share", *damage(results), *results.perplexities]
    measures = [*tasks, "average", *shown]
    numbers = groups[measures]
    # not percentages but large, as perplexities are
    wide = {*results.perplexities, *(task.name for task in results.tasks if not task.share)}
    means, spreads = numbers.mean(), numbers.std()
    texts = means.apply(
        lambda column: [
            _form(column.name in wide, column.name == "kl")(mean, error=spread)
            for mean, spread in zip(column, spreads[column.name], strict=True)
        ]
    )
    best = _best(results, texts)
    texts = texts.mask(best, texts.map(lambda text: _bold(text, style)))
    texts = texts.map(lambda text: text.replace(PLUS_MINUS, style.plus_minus))
    texts.insert(0, "sparsity", [written(sparsity) for _, sparsity, _ in texts.index])
    methods = texts.index.get_level_values("method")
    if has_patterns(results):
        texts.insert(0, "pattern", groups["pattern"].first())
        methods = methods.map(base_method)
    texts.insert(0, "method", methods.map(method_label).map(style.escaped))
    return texts


def _form(is_wide: bool, is_small: bool) -> Callable[..., str]:
    return perplexity if is_wide else partial(number, decimals=3 if is_small else 2)


def _sorted(results: Results) -> pd.DataFrame:
    places = results.cells["model"].map(results.models.index)
    cells = results.cells.assign(place=places)
    return cells.sort_values(["place", "sparsity"], kind="stable").drop(columns="place")


def _best(results: Results, texts: pd.DataFrame) -> pd.DataFrame:
    """Mask of the best entries, compared as printed, so that equal numbers look equal."""
    values = texts.map(lambda text: text.partition(PLUS_MINUS)[0])
    scores = values.replace(NONE, "nan").astype(float)
    scores[[*damage(results), *results.perplexities]] *= -1
    # it is unknown whether more is better
    scores[[task.name for task in results.tasks if not task.share]] = math.nan
    # Controls do not compete.
    controls = set(results.cells.loc[results.cells["control"], "method"])
    scores.loc[scores.index.isin(controls, level="method")] = math.nan
    places = scores.groupby(level=["model", "sparsity"])
    best = scores == places.transform("max")
    # A method without a competitor, such as dense, is never bold.
    best.loc[places["ppl"].transform("count") == 1] = False
    return best


def _markdown(results: Results, context: Context) -> list[str]:
    second = ["In-domain perplexity"] if "in_domain_ppl" in results.perplexities else []
    headings = [
        *_first_headings(results),
        *(escaped(task.title) for task in results.tasks),
        *("Average", *normed(results).values(), "Recovered", *damage(results).values()),
        *("Perplexity", *second),
    ]
    lines = [bold_sentence(results.generated) + _caption(results, context, added(results))]
    for model, rows in _blocks(printed(results, _MARKDOWN), _MARKDOWN):
        lines += ["", f"### {model}", ""]
        lines += table(headings, rows, "l" + "r" * (len(headings) - 1))
    return [*lines, *mixed_lines(results)]


def _latex(results: Results, context: Context) -> list[str]:
    r"""LaTeX `longtable` with page breaks between models.

    Needs \usepackage{booktabs,longtable} and a one-column document.
    """
    first = _first_headings(results)
    second = ["In-d."] if "in_domain_ppl" in results.perplexities else []
    headings = [*first, *latex_titles(results), "Avg.", "Rec.", "PPL", *second]
    head = [
        r"\toprule",
        *spanned(results, len(first), len(headings)),
        rf"{' & '.join(headings)} \\",
        r"\midrule",
    ]
    text = latex_caption(results, _caption(results, context, ""))
    # what fits a page of the article class
    size, spacing = r"\scriptsize", "1.4pt" if has_patterns(results) else "2.3pt"
    if len(headings) > 13:
        size, spacing = r"\tiny", "1.2pt"
    lines = [
        rf"\begingroup{size}\setlength{{\tabcolsep}}{{{spacing}}}",
        r"\setlength{\LTleft}{0pt plus 1fill minus 15pt}\setlength{\LTright}{\LTleft}",
        rf"\begin{{longtable}}{{@{{}}l{'r' * (len(headings) - 1)}@{{}}}}",
        rf"\caption{{{text}}}\label{{tab:{context.name}}} \\",
        *head,
        r"\endfirsthead",
        *head,
        r"\endhead",
    ]
    # more columns would not fit a page
    texts = printed(results, LATEX).drop(columns=[*normed(results), *damage(results)])
    for block, (model, rows) in enumerate(_blocks(texts, LATEX)):
        title = rf"\multicolumn{{{len(headings)}}}{{@{{}}l}}{{\textit{{{model}}}}}"
        body = [title, *(" & ".join(row) for row in rows)]
        lines += [r"\midrule"] if block else []
        lines += [rf"{line} \\*" for line in body[:-1]] + [rf"{body[-1]} \\"]
    return [*lines, r"\bottomrule", r"\end{longtable}", r"\endgroup"]


def _first_headings(results: Results) -> list[str]:
    return ["Method", *(["Pattern"] if has_patterns(results) else []), "Sparsity"]


def _blocks(texts: pd.DataFrame, style: Style) -> Iterator[tuple[str, list[list[str]]]]:
    """Formatted rows of each model."""
    for model, block in texts.groupby(level="model", sort=False):
        yield style.escaped(str(model)), block.to_numpy().tolist()


def _bold(text: str, style: Style) -> str:
    value, *spread = text.partition(PLUS_MINUS)
    return style.bold.format(value) + "".join(spread)


def _caption(results: Results, context: Context, more: str) -> str:
    in_domain = _IN_DOMAIN if "in_domain_ppl" in results.perplexities else ""
    seeds = " Mean ± sample standard deviation where several seeds were run."
    return caption(results, context, f" {recovered(results)}{more}{in_domain}", seeds)
