"""Reports for tests: two models, six methods, two sparsities, two seeds of one cell.

Two of the eight tasks do not count in the average: an exact match after examples, and a perplexity.
Names contain signs that HTML escapes.
"""

import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import product
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from lxml import html

from leap_suite.plan.cell import Cell
from leap_suite.plan.config import load
from leap_suite.plan.methods import method_label
from leap_suite.plan.subject import judged
from leap_suite.report.page import write
from leap_suite.report.page.write import PageInputs, write_page
from leap_suite.results.frame import Results
from leap_suite.tables.context import Context
from tests.unit.made import Made, collected, made, scored
from tests.unit.results.example import TITLES

MODELS = ("m<b>", "n")
RIGHT = {"dense": 170, "random-mask": 60, "magnitude": 80, "wanda": 90, "admm": 120, "elsa": 130,
         "leap": 125}  # of 200 items  # fmt: skip
PPL = {"dense": 5.0, "random-mask": 4.6e9, "magnitude": 1234.5, "wanda": 8.0, "admm": 9.0,
       "elsa": 7.0, "leap": 7.2}  # fmt: skip
ITEMS = 200
TASKS = {**TITLES, "gsm8k": "GSM8K", "lambada": "LAMBADA"}
METHOD_OF = {method_label(method): method for method in RIGHT}
NOBODY = "not in the grid"
COMMAND = "snakemake --cores all --config scale=mini"


@dataclass(frozen=True)
class Report:
    """A page about a subject, and its sources."""

    path: Path
    subject: str
    context: Context
    files: Made
    results: Results
    published: pd.DataFrame

    @cached_property
    def page(self) -> html.HtmlElement:
        """The parsed page; AssertionError if a tag is closed out of order."""
        parser = html.HTMLParser(encoding="utf-8")
        page = html.fromstring(self.path.read_bytes(), parser=parser)
        known = {"HTML_UNKNOWN_TAG"}  # of HTML 5
        found = [e for e in parser.error_log if e.type_name not in known]
        assert found == [], found
        return page

    def one(self, path: str) -> html.HtmlElement:
        """The only element of an XPath."""
        (found,) = self.page.xpath(path)
        return found

    def rows(self, table: str) -> list[dict[str, html.HtmlElement]]:
        """Cells of a table by heading."""
        headings = [h.text_content() for h in self.page.xpath(f"//table[@id='{table}']//th")]
        assert len(set(headings)) == len(headings), headings
        rows = self.page.xpath(f"//table[@id='{table}']/tbody/tr")
        return [dict(zip(headings, row, strict=True)) for row in rows]

    def texts(self, path: str) -> list[str]:
        """Texts of the elements of an XPath."""
        return [element.text_content() for element in self.page.xpath(path)]


def cells() -> Iterator[Cell]:
    """All cells."""
    for model in MODELS:
        for method in RIGHT:
            for sparsity in ("0.0",) if method == "dense" else ("0.5", "0.6"):
                yield Cell(model, method, sparsity)
    yield Cell(MODELS[0], "leap", "0.5", seed=1)


def write_cells(folder: Path, prefix: str = "", **dtypes: str) -> Made:
    """Files of all cells; `prefix` is part of the tasks' names, `dtypes` are by method."""
    files: Made = {}
    for place, cell in enumerate(cells()):
        draw = random.Random(cell.path)
        # no two numbers are equal, and another method has the best perplexity than accuracy
        right = RIGHT[cell.method] + (4 if cell.sparsity == "0.6" else 9 * cell.seed)
        answers = {
            task: [int(item < right - 2 * number) for item in range(ITEMS)]
            for number, task in enumerate(TITLES)
        }
        tasks = {
            task: scored(
                sum(of_task) / ITEMS, acc_stderr=draw.uniform(0.01, 0.05), chance=0.25,
                samples=ITEMS, task=prefix + task,
            )
            for task, of_task in answers.items()
        }  # fmt: skip
        asked = {"samples": 9, "version": "1"}
        tasks["gsm8k"] = {"metric": "exact_match", "exact_match": draw.random(), "fewshot": 5}
        tasks["gsm8k"] |= asked
        tasks["lambada"] = {"metric": "perplexity", "perplexity": draw.uniform(5, 5000), **asked}
        files |= made(
            folder, cell.model, cell.method, cell.target, cell.seed, tasks=tasks, answers=answers,
            ppl=PPL[cell.method] * (1 + place / 100),
            achieved=cell.target and cell.target + draw.uniform(0, 0.01),
            provenance={"git_commit": f"{draw.getrandbits(60):015x}",
                        "device": "</pre><script>problems.push(1)</script>",
                        "dtype": dtypes.get(cell.method, "float32"),
                        "packages": {"torch": "2.13.0", "transformers": "5.23.0"}},
            manifest=_manifest(draw, place),
        )  # fmt: skip
    return files


def _manifest(draw: random.Random, place: int) -> dict[str, Any]:
    cost = {"wall_time_seconds": 10 + 1.7 * place, "peak_memory_bytes": 10**9 + place * 3 * 10**7}
    pruning = {"settings": {"steps": 4}, "device": "cuda", "gpu": f"GPU <{place}>", "cost": cost}
    commit = f"{draw.getrandbits(60):015x}-dirty"
    return {"pruning": pruning, "git_commit": commit, "platform": "Linux"}


def _published(results: Results) -> pd.DataFrame:
    """Numbers near ours from two sources, and some of a model that was not run."""
    rows, draw = [], random.Random(0)
    cells = results.cells.query("method in ['wanda', 'admm', 'elsa', 'leap'] and not seed")
    for cell, measure in product(cells.itertuples(), ("average", "ppl")):
        for source, prefix in (("a test", ""), ("another <test>", "big-")):
            value = getattr(cell, measure) * draw.uniform(0.8, 1.2)
            place = (prefix + cell.model, cell.method, cell.sparsity)
            rows.append((*place, source, measure, value))
    return pd.DataFrame(rows, columns=["model", "method", "sparsity", "source", "measure", "value"])


def write_report(
    files: Made, subject: str, folder: Path, context: Mapping[str, Any] | None = None
) -> Report:
    """Write a page; without LEAP's cells if the subject is not in the grid."""
    if subject == NOBODY:
        files = {path: of for path, of in files.items() if "/leap/" not in path}
    grid = {"methods": [method for method in RIGHT if method != "dense"]}
    named = {} if subject == NOBODY else {"subject": subject}
    settings = load({"scale": "mini", "hub_mirror": "", "grid": grid})
    judgement = judged({**settings, **named, "against": ["admm"]})
    results = collected(
        files, {task: {"title": TASKS[task], "averaged": task in TITLES} for task in TASKS}
    )
    (folder / "main.csv").write_text("model\n")
    (folder / "quality.svg").write_text(
        '<svg xmlns="http://www.w3.org/2000/svg" width="489.6pt" height="9pt">'
        '<path d="M0 0h9"/></svg>'
    )
    report = Report(
        folder / "report.html", subject,
        replace(Context("test", about="What it says.", published=True, **judgement),
                **(context or {})),
        files, results, _published(results),
    )  # fmt: skip
    inputs = PageInputs(
        {path: of.manifest for path, of in files.items() if of.manifest},
        [(folder / "quality.svg", f"{report.context.note}. Quality & more".removeprefix(". "))],
        {"grid": {"models": [*MODELS]}}, [folder / "main.csv"], command=COMMAND, day="2026-05-17",
        repository="https://example.org/leap",
    )  # fmt: skip
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(write, "read_published", lambda: report.published)
        write_page(results, report.context, inputs, report.path)
    return report
