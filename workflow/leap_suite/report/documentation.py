"""Tables in README.md and docs, filled in from the tracked results and the methods' schemas.

`make docs` writes the lines between `<!-- table: FUNCTION RUN METHOD ... -->` and `<!-- end -->`
from results/examples/RUN. FUNCTION is one of `_TABLES`, below, without RUN for those
of the schemas.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pandas as pd

from leap_suite.artifacts.files import write_text
from leap_suite.places import ROOT
from leap_suite.plan.cell import DENSE, LEAP
from leap_suite.plan.methods import known_methods, method_label, method_schema
from leap_suite.report.examples import EXAMPLES, tables_of, tracked
from leap_suite.report.reference import method_settings, settings
from leap_suite.results.statistics import FLOOR, compare, over_places
from leap_suite.tables import verdict
from leap_suite.tables.budget import share_text
from leap_suite.tables.entries import number, perplexity, table
from leap_suite.tables.main import main_frame

PAGES = ("README.md", "docs/results.md", "docs/methods.md", "docs/configuration.md")
# columns of the table of leads: seeds of LEAP, of which a method has the first
SEEDS = {at: [at] for at in ("0.5", "0.6")}
SEEDS |= {"0.6, both seeds": ["0.6", "0.6/seed-1"], "0.7": ["0.7"]}
_BLOCK = re.compile(r"(<!-- table: ([^>]*) -->\n).*?(<!-- end -->)", re.S)


def short(run: str, *methods: str) -> list[str]:
    """Mean accuracy and perplexity of methods at 0.5 and 0.6."""
    return _means(run, methods, {"average": "accuracy", "ppl": "perplexity"})


def full(run: str, *methods: str) -> list[str]:
    """Means of methods with the recovered share, and in-domain perplexity where it was measured."""
    columns = {"average": "accuracy", "recovered_share": "recovered (%)", "ppl": "perplexity"}
    return _means(run, methods, columns | {"in_domain_ppl": "in-domain perplexity"})


def leads(run: str, *methods: str) -> list[str]:
    """LEAP's lead over methods, paired by items; empty where the method was not evaluated."""
    rows = [[method_label(m), *(_lead(run, m, seeds) for seeds in SEEDS.values())] for m in methods]
    headings = ["LEAP minus", *(f"at {heading}" for heading in SEEDS)]
    return table(headings, rows, "l" + "r" * len(SEEDS))


def budgets(run: str, *shares: str) -> list[str]:
    """LEAP's accuracy and its lead over methods, at shares of its tokens and by sparsity."""
    rows = pd.read_csv(EXAMPLES / run / "budget.csv")
    rows = rows[(rows["tokens"] > 0) & rows["share"].isin(map(float, shares))]
    texts = pd.Series(
        [
            number(row.average)
            if row.method == LEAP
            else number(row.lead, sign="+", error=row.lead_stderr)
            for row in rows.itertuples()
        ],
        index=pd.MultiIndex.from_frame(rows[["method", "share", "sparsity"]]),
    )
    found = texts.unstack(["share", "sparsity"]).sort_index(axis="columns")
    methods = [LEAP, *(name for name in rows["method"].unique() if name != LEAP)]
    lines = [
        ["LEAP's accuracy" if name == LEAP else method_label(name), *found.loc[name]]
        for name in methods
    ]
    headings = [
        f"{sparsity}, {'all' if share == 1 else share_text(share)} tokens"
        for share, sparsity in found
    ]
    return table(["LEAP minus", *headings], lines, "l" + "r" * len(headings))


def methods() -> list[str]:
    """All methods by their schemas; layer-wise ones first, sorted by name."""
    schemas = {name: method_schema(name) for name in known_methods()}
    order = sorted(schemas, key=lambda name: (schemas[name].get("trained", False), name))
    headings = ["method", "what it does", "weights compete in", "paper", "changes kept weights"]
    headings.append("licence of the public code")
    return table(headings, [_described(name, schemas[name]) for name in order], "llllll")


def filled(text: str) -> str:
    """A page with its tables as the tracked results have them. Raises KeyError for a new name."""

    def fill(block: re.Match[str]) -> str:
        name, *arguments = block[2].split()
        lines = _TABLES[name](*arguments)
        return "".join([block[1], *(f"{line}\n" for line in lines), block[3]])

    return _BLOCK.sub(fill, text)


_TABLES: Mapping[str, Callable[..., list[str]]] = {
    "short": short,
    "full": full,
    "leads": leads,
    "budgets": budgets,
    "methods": methods,
    "settings": settings,
    "method_settings": method_settings,
}


def _described(name: str, schema: Mapping[str, Any]) -> list[str]:
    paper = schema["paper"]
    if "arxiv" in paper:
        paper = f"[{paper['arxiv']}](https://arxiv.org/abs/{paper['arxiv']})"
    elif paper != "none":
        paper = f"[{paper['title']}]({paper['url']})"
    changes = "yes" if schema["changes_weights"] else "no"
    about = schema["description"].rstrip(".")
    return [f"`{name}`", about, schema["competes_in"], paper, changes, schema["licence"]]


def _means(run: str, methods: Sequence[str], columns: Mapping[str, str]) -> list[str]:
    """Rows of means over the models, the best pruned result of a column in bold."""
    cells = pd.read_csv(EXAMPLES / run / "main.csv")
    columns = {name: title for name, title in columns.items() if name in cells}
    if outside := set(methods) - set(cells["method"]):
        cells = pd.concat([cells, _outside_the_grid(run, {DENSE, FLOOR, *outside})])
    found = pd.DataFrame(index=methods)
    for sparsity in (0.5, 0.6):
        at = cells[cells["sparsity"].isin([0, sparsity])]
        for name, title in columns.items():
            found[f"{title} at {sparsity}"] = [
                over_places(at[at["method"] == method], name, geometric=name.endswith("ppl"))
                for method in methods
            ]
    texts = {name: _texts(values) for name, values in found.items()}
    rows = zip(map(method_label, methods), *texts.values(), strict=True)
    return table(["", *texts], [list(row) for row in rows], "l" + "r" * len(texts))


def _texts(values: pd.Series) -> list[str]:
    is_perplexity = "perplexity" in str(values.name)
    best = values.drop(DENSE).agg("min" if is_perplexity else "max")
    texts = map(perplexity if is_perplexity else number, values)
    return [
        f"**{text}**" if value == best else text for text, value in zip(texts, values, strict=True)
    ]


def _outside_the_grid(run: str, methods: set[str]) -> pd.DataFrame:
    """The columns of main.csv, from tracked evaluations; shares need the dense and the floor's."""
    folder = EXAMPLES / run / "evaluations"
    files = sorted(file for name in methods for file in folder.glob(f"*/{name}/*.json"))
    cells = (str(file.relative_to(folder).with_suffix("")) for file in files)
    return main_frame(tracked(run, cells)).astype({"sparsity": float})


def _lead(run: str, method: str, seeds: Sequence[str]) -> str:
    (model,) = (folder.name for folder in (EXAMPLES / run / "items").iterdir())
    cells = [f"{model}/{method}/{seeds[0]}", *(f"{model}/{LEAP}/{seed}" for seed in seeds)]
    if not (EXAMPLES / run / "items" / f"{cells[0]}.csv.gz").exists():
        return ""
    results, sparsity = tracked(run, cells), float(seeds[0])
    paired = compare(*(results.scores_of(model, sparsity, name) for name in (LEAP, method)))
    printed = number(paired.difference, sign="+", error=paired.standard_error)
    return f"{printed} (p {verdict.equals(paired.p_value)})"


if __name__ == "__main__":
    for file, text in tables_of("claim").items():
        write_text(file, text)
    for page in PAGES:
        write_text(ROOT / page, filled((ROOT / page).read_text(encoding="utf-8")))
