r"""Accuracies, average and perplexity for two-column papers: one LaTeX `table*` per model.

Needs \usepackage{booktabs}; each table has to fit a page.
"""

from collections.abc import Iterator, Mapping

import pandas as pd

from leap_suite.results.frame import Results
from leap_suite.tables.context import Context
from leap_suite.tables.main import LATEX, caption, latex_caption, latex_titles, printed, spanned
from leap_suite.tables.text import lines_text


def main_tabular(results: Results, context: Context) -> Mapping[str, str]:
    """Tables without recovered share, in-domain perplexity and spread."""
    headings = ["Method", *latex_titles(results), "Avg.", "PPL"]
    text = latex_caption(
        results, caption(results, context, "", " Means where several seeds were run.")
    )
    tasks = [task.name for task in results.tasks]
    texts = printed(results, LATEX)[["method", *tasks, "average", "ppl"]]
    texts = texts.map(lambda text: text.partition(LATEX.plus_minus)[0])
    lines: list[str] = []
    for index, (model, rows) in enumerate(texts.groupby(level="model", sort=False), 1):
        name = LATEX.escaped(str(model))
        lines += [
            r"\begin{table*}",
            r"\centering\small",
            rf"\caption{{{name}. {text}}}\label{{tab:{context.name}-{index}}}",
            rf"\begin{{tabular}}{{@{{}}l{'r' * (len(headings) - 1)}@{{}}}}",
            r"\toprule",
            *spanned(results, 1, len(headings)),
            rf"{' & '.join(headings)} \\",
            *_sparsity_blocks(rows, len(headings)),
            r"\bottomrule",
            r"\end{tabular}",
            r"\end{table*}",
        ]
    return {"tex": lines_text(lines)}


def _sparsity_blocks(rows: pd.DataFrame, columns: int) -> Iterator[str]:
    """Rows of a model, with a title above each sparsity except the dense model's."""
    for sparsity, block in rows.groupby(level="sparsity", sort=False):
        yield r"\midrule"
        if sparsity:
            title = rf"\textit{{sparsity {sparsity:g}}}"
            yield rf"\multicolumn{{{columns}}}{{@{{}}l}}{{{title}}} \\"
        yield from (rf"{' & '.join(row)} \\" for row in block.to_numpy().tolist())
