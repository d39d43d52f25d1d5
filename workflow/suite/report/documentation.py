"""The tables of README and docs/results.md, written from the results that are tracked.

`make docs` fills what stands between `<!-- table: NAME -->` and `<!-- end -->` in both. Before, it
writes the tables of runs whose evaluations are tracked, in results/examples, as the runs did. Tests
say when they are not what it would write.
"""

import re
import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from suite.artifacts.files import write_text
from suite.plan import grid, tasks
from suite.plan.cell import DENSE
from suite.plan.config import load, scale_settings
from suite.plan.subject import judged
from suite.results.collect import Files, Shown, collect
from suite.results.frame import Results
from suite.results.statistics import compare
from suite.tables import numbers, verdict
from suite.tables.main import main_frame
from suite.tables.registry import table
from suite.tables.told import Told

ROOT = Path(__file__).parents[3]
PAGES = ("README.md", "docs/results.md")
_EXAMPLES = ROOT / "results/examples"
_BLOCK = re.compile(r"(<!-- table: ([\w-]+) -->\n).*?(<!-- end -->)", re.S)
_SPARSITIES = ("0.5", "0.6")
_PERPLEXITIES = ("ppl", "in_domain_ppl")
_ALL = {
    "random-mask": "random mask",
    "magnitude": "magnitude",
    "wanda": "Wanda",
    "sparsegpt": "SparseGPT",
    "thanos": "Thanos",
    "admm": "ADMM, constant schedule (as LEAP's authors run it)",
    "admm-cubic": "ADMM, cubic schedule (as its own paper has it)",
    "alps": "ALPS",
    "leap": "**LEAP**",
}
_FEW = {DENSE: "dense", "admm": "ADMM", "alps": "ALPS", "leap": "**LEAP**"}
_RETRAINED = "*kept weights retrained:*"


@dataclass(frozen=True)
class Means:
    """Rows of methods, in the mean over a run's models, a geometric one of perplexities.

    `columns` has the heading of each column of main.csv; a row without a method is a heading. The
    best number of a column is bold, the dense model's apart. `beside` names methods that are not in
    main.csv, because the grid lacks them, and whose evaluations are tracked.
    """

    run: str
    columns: Mapping[str, str]
    rows: Sequence[tuple[str | None, str]]
    decimals: int = 2
    beside: Sequence[str] = ()

    def lines(self) -> list[str]:
        """The table in Markdown."""
        columns = [(sparsity, column) for sparsity in _SPARSITIES for column in self.columns]
        found = self._found(columns)
        pruned = [values for method, values in found.items() if method != DENSE]
        best = [
            (min if column in _PERPLEXITIES else max)(values)
            for (_, column), values in zip(columns, zip(*pruned, strict=True), strict=True)
        ]
        lines = [_head(self._headings())]
        for method, label in self.rows:
            if method is None:
                lines.append(_row([label, *[""] * len(columns)]))
                continue
            cells = []
            for (_, column), value, top in zip(columns, found[method], best, strict=True):
                printed = self._print(value, column)
                cells.append(f"**{printed}**" if value == top and method != DENSE else printed)
            lines.append(_row([label, *cells]))
        return lines

    def _found(self, columns: Sequence[tuple[str, str]]) -> dict[str, list[float]]:
        results = pd.read_csv(_EXAMPLES / self.run / "main.csv", dtype={"sparsity": str})
        if self.beside:
            results = pd.concat([results, _beside(self.run, self.beside)])
        methods = [method for method, _ in self.rows if method]
        return {method: [_mean(results, method, *each) for each in columns] for method in methods}

    def _headings(self) -> list[str]:
        return [
            f"{title} at {sparsity}" if column == "average" else title
            for sparsity in _SPARSITIES
            for column, title in self.columns.items()
        ]

    def _print(self, value: float, column: str) -> str:
        if column in _PERPLEXITIES:
            return numbers.perplexity(value)
        if column == "recovered_share":
            return f"{numbers.number(value, 0)} %".replace("-", "−")
        return numbers.number(value, self.decimals)


@dataclass(frozen=True)
class Leads:
    """What LEAP is ahead of others by, paired by items: rows of methods, columns of cells."""

    run: str
    model: str
    columns: Mapping[str, Sequence[str]]  # a heading, and LEAP's items below its folder
    rows: Mapping[str, str]

    def lines(self) -> list[str]:
        """The table in Markdown; a cell that was not measured is empty."""
        rows = [
            _row([label, *(self._lead(method, leap) for leap in self.columns.values())])
            for method, label in self.rows.items()
        ]
        return [_head(list(self.columns), "LEAP minus"), *rows]

    def _lead(self, method: str, leap: Sequence[str]) -> str:
        cells = [
            f"{self.model}/{method}/{leap[0]}",
            *(f"{self.model}/leap/{cell}" for cell in leap),
        ]
        if not all((_EXAMPLES / self.run / "items" / f"{cell}.csv.gz").exists() for cell in cells):
            return ""
        sparsity = float(leap[0].partition("/")[0])
        results = tracked(self.run, cells)
        ours, theirs = (results.scores_of(self.model, sparsity, name) for name in ("leap", method))
        paired = compare(ours, theirs)
        printed = numbers.number(paired.difference, sign="+", error=paired.standard_error)
        return f"{printed} (p {verdict.equals(paired.p_value)})".replace("-", "−")


def tracked(run: str, cells: Iterable[str]) -> Results:
    """The results of tracked cells, by their paths; they are checked against no recipe."""
    folder = _EXAMPLES / run
    files = {
        cell: Files(
            folder / "evaluations" / f"{cell}.json",
            folder / "items" / f"{cell}.csv.gz",
            manifest
            if (manifest := folder / "hardened" / cell / "manifest.json").is_file()
            else None,
        )
        for cell in cells
    }
    return collect(files, Shown(tasks.shown(scale_settings(run))))


def tables_of(run: str) -> dict[Path, str]:
    """Files of the grid's tables in results/examples, made of the run's tracked evaluations."""
    settings = load({"scale": run, "hub_mirror": ""})
    results = tracked(run, (cell.path for cell in grid.cells(settings)))
    told = Told(scale=run, about=settings["about"], **judged(settings))
    texts = {name: table(name)(results, told) for name in ("main", "headline", "verdict")}
    kept = [("main", "csv"), ("main", "md"), ("headline", "json"), ("verdict", "md")]
    return {_EXAMPLES / run / f"{name}.{form}": texts[name][form] for name, form in kept}


def _beside(run: str, methods: Sequence[str]) -> pd.DataFrame:
    """The columns of main.csv for cells outside the grid, from their evaluations.

    The dense model's are read as well, since shares are recovered of its accuracy.
    """
    folder = _EXAMPLES / run / "evaluations"
    files = [file for name in (DENSE, *methods) for file in sorted(folder.glob(f"*/{name}/*.json"))]
    frame = main_frame(
        tracked(run, (f"{file.relative_to(folder).with_suffix('')}" for file in files))
    )
    return frame[frame["method"] != DENSE]


def _mean(results: pd.DataFrame, method: str, sparsity: str, column: str) -> float:
    wanted = "0.0" if method == DENSE else sparsity
    cells = results[(results["method"] == method) & (results["sparsity"] == wanted)]
    mean: Callable[[Iterable[float]], float] = (
        statistics.geometric_mean if column in _PERPLEXITIES else statistics.fmean
    )
    return mean(cells[column])


def _head(headings: Sequence[str], first: str = "") -> str:
    return "\n".join([_row([first, *headings]), "|---|" + "---:|" * len(headings)])


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"


TABLES: dict[str, Means | Leads] = {
    "claim": Means(
        "claim",
        {"average": "accuracy", "ppl": "perplexity"},
        [*_FEW.items(), ("reconstruct", "*Wanda's mask, kept weights reconstructed*"),
         ("elsa", "*ELSA, which learns weights and mask* ¹")],
        beside=["elsa"],
    ),
    "mini": Means(
        "mini",
        {"average": "accuracy", "ppl": "perplexity"},
        [*_FEW.items(), ("elsa", "*ELSA, which learns weights and mask*")],
        decimals=1,
    ),
    "claim-all": Means(
        "claim",
        {"average": "accuracy", "recovered_share": "recovered", "ppl": "WikiText-2",
         "in_domain_ppl": "C4"},
        [(DENSE, "dense"), *_ALL.items(), (None, _RETRAINED),
         ("reconstruct", "Wanda's mask, reconstructed"),
         ("leap-reconstruct", "LEAP's mask, reconstructed"),
         ("elsa", "ELSA, end to end on LEAP's text ¹")],
        beside=["elsa"],
    ),
    "mini-all": Means(
        "mini",
        {"average": "accuracy", "recovered_share": "recovered", "ppl": "perplexity"},
        [(DENSE, "dense"), *_ALL.items(), (None, _RETRAINED),
         ("reconstruct", "Wanda's mask, reconstructed"),
         ("elsa", "ELSA, end to end on LEAP's text")],
        decimals=1,
    ),
    "claim-leads": Leads(
        "claim",
        "smollm2-135m",
        {"at 0.5": ["0.5"], "at 0.6": ["0.6"], "at 0.6, both seeds": ["0.6", "0.6/seed-1"],
         "at 0.7": ["0.7"]},
        {"admm": "ADMM, the best layer-wise method by accuracy",
         "alps": "ALPS, the best by perplexity", "reconstruct": "Wanda's mask, reconstructed"},
    ),
}  # fmt: skip


def filled(text: str) -> str:
    """A page with its tables as the tracked results have them. Raises KeyError for a new name."""

    def fill(block: re.Match[str]) -> str:
        return "".join([block[1], *(f"{line}\n" for line in TABLES[block[2]].lines()), block[3]])

    return _BLOCK.sub(fill, text)


if __name__ == "__main__":
    for file, text in tables_of("claim").items():
        write_text(file, text)
    for page in PAGES:
        write_text(ROOT / page, filled((ROOT / page).read_text(encoding="utf-8")))
