"""The report: one HTML file that holds everything and needs no network."""

import base64
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml
from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

from suite.artifacts.files import read_json, replacing
from suite.plan.methods import method_label
from suite.report.page import bars, training_curve
from suite.report.page.leaderboard import Line, leaderboard
from suite.report.page.model_section import CELL_HEADINGS, model_sections
from suite.report.page.table import TASK_HEADINGS, Body, Field, number_field
from suite.tables import against_published, published_leads, verdict
from suite.tables.against_published import Comparison
from suite.tables.evaluations import TASKS, Evaluated, Recipes, read_cells
from suite.tables.generated import accuracy, any_generated, task_headings
from suite.tables.numbers import number, perplexity
from suite.tables.published_leads import Lead
from suite.tables.recovered import DEFINITION, recovered_shares
from suite.tables.seconds import read_seconds
from suite.tables.trainings import read_training

TEMPLATE = Path(__file__).with_name("page.html.j2")


def write_page(
    scale: str,
    about: str,
    evaluations: Sequence[Path],
    manifests: Mapping[str, Path],
    headline: Path,
    comparisons: Sequence[Comparison],
    figures: Sequence[tuple[Path, str]],
    settings: Mapping[str, Any],
    output: Path,
    note: str,
    recipes: Recipes = None,
    leads: Sequence[Lead] = (),
    tables: Sequence[Path] = (),
    journals: Sequence[Path] = (),
) -> None:
    """Write the page.

    `manifests` are those of the pruned checkpoints by the path of their cell; `comparisons` with
    the published numbers, and `leads` of LEAP among these, are empty where the models are not the
    paper's; `figures` are SVG files with their captions. `note` says in titles and headings what
    the numbers are of, such as miniature models; `recipes` is as for
    `suite.tables.evaluations.read_cells`; `tables` are files that readers can save;
    `journals` are those of LEAP's trainings.
    """
    environment = Environment(
        loader=FileSystemLoader(TEMPLATE.parent),
        autoescape=select_autoescape(default=True, default_for_string=True),
        undefined=StrictUndefined,
        trim_blocks=True,
    )
    results = read_cells(evaluations, recipes)
    judged = read_json(headline)
    seconds, generated = read_seconds(list(manifests.values())), any_generated(results)
    text = environment.get_template(TEMPLATE.name).render(
        scale=scale,
        note=note,
        about=about,
        rule=verdict.RULE,
        mixed=judged.get("mixed", ""),
        first_verdicts=_first_verdicts(judged, generated),
        verdicts=[
            _verdict(judged, entry, name, generated) for entry, name in verdict.sections(judged)
        ],
        published=_published(comparisons, leads) if comparisons else None,
        leaderboard=_leaderboard(leaderboard(results, seconds)),
        results=_results(results),
        tables=[{"name": path.name, "data": _data(path, "text/plain")} for path in tables],
        figures=[_figure(path, caption) for path, caption in figures],
        models=model_sections(
            results,
            evaluations,
            manifests,
            [read_training(journal, training_curve.SHOWN) for journal in journals],
        ),
        cell_headings=CELL_HEADINGS,
        bars=bars,
        curve=training_curve,
        settings=yaml.safe_dump(dict(settings), sort_keys=False, allow_unicode=True),
    )
    with replacing(output) as temporary:
        temporary.write_text(text, encoding="utf-8")


def _first_verdicts(judged: Mapping[str, Any], generated: bool) -> list[dict[str, str]]:
    """What stands at the head of the page; nothing of what was not run."""
    of_entries = judged["average_accuracy"]
    return [
        {
            **_claim(of_entries[entry]),
            "name": f"{name} ({verdict.best_baselines(of_entries[entry])})",
            "found": verdict.short_summary(of_entries[entry], generated),
        }
        for entry, name in verdict.first_sections(judged)
        if of_entries[entry] is not None
    ]


def _claim(of_accuracy: Mapping[str, Any] | None) -> dict[str, str]:
    claim = verdict.claim(of_accuracy)
    return {"claim": claim.capitalize(), "kind": claim.split()[0].rstrip(":")}


def _verdict(judged: Mapping[str, Any], entry: str, name: str, generated: bool) -> dict[str, Any]:
    of_accuracy, of_perplexity = judged["average_accuracy"][entry], judged["perplexity"][entry]
    found: dict[str, Any] = {"name": name, **_claim(of_accuracy), "details": ""}
    if of_accuracy is None:
        return found
    rows = [
        [
            Field(a["model"]),
            Field(a["sparsity"]),
            Field(method_label(a["baseline"])),
            number_field(a["leap"]),
            number_field(a["baseline_value"]),
            Field(f"{a['difference']:+.2f} ± {a['standard_error']:.2f}", a["difference"]),
            Field(verdict.p_text(a["p_value"]), a["p_value"]),
            Field(method_label(p["baseline"])),
            _perplexity(p["leap"]),
            _perplexity(p["baseline_value"]),
        ]
        for a, p in zip(of_accuracy["cells"], of_perplexity["cells"], strict=True)
    ]
    header = ["Model", "Sparsity", "Baseline by accuracy", f"{accuracy(generated)}: LEAP (%)",
              "Baseline (%)", "Difference", "p", "Baseline by perplexity", "Perplexity: LEAP",
              "Perplexity: baseline"]  # fmt: skip
    details = verdict.summary(of_accuracy, of_perplexity)
    body = Body(rows, (0, 2, 7), wide=(3, 4), low=(8, 9))
    return {**found, "details": details, "header": header, "body": body}


def _published(comparisons: Sequence[Comparison], leads: Sequence[Lead]) -> dict[str, Any]:
    rows = [
        [
            Field(c.model), Field(c.sparsity), Field(method_label(c.method)), Field(c.measure),
            *(number_field(value, perplexity if c.measure == "ppl" else number)
              for value in (c.ours, c.published, c.difference)),
            number_field(c.combined_stderr), Field(c.verdict), Field(c.source),
        ]
        for c in comparisons
    ]  # fmt: skip
    header = ["Model", "Sparsity", "Method", "Measure", "Ours", "Published", "Difference",
              "Combined s.e.", "Verdict", "Source"]  # fmt: skip
    counts = against_published.counts(comparisons)
    summary = ", ".join(f"{name}: {count}" for name, count in counts.items()) + "."
    rule = against_published.RULE.replace("`", "")
    return {
        "summary": summary,
        "header": header,
        "body": Body(rows, (0, 2, 3, 8, 9)),
        "rule": rule,
        "leads": _leads(leads) if leads else None,
    }


def _leads(leads: Sequence[Lead]) -> dict[str, Any]:
    rows = [[Field(text) for text in published_leads.texts(lead)] for lead in leads]
    return {
        "sentences": published_leads.sentences(leads),
        "header": published_leads.HEADINGS,
        "body": Body(rows, (0, 1, 4, 6, 7)),
        "rule": published_leads.RULE,
    }


def _leaderboard(lines: Sequence[Line]) -> dict[str, Any]:
    def column(
        name: str,
        best: Callable[[Iterable[float]], float],
        printed: Callable[[float], str] = number,
    ) -> list[Field]:
        values = [getattr(line, name) for line in lines]
        known = [value for value in values if not math.isnan(value)]
        return [
            replace(number_field(value, printed), best=bool(known) and value == best(known))
            for value in values
        ]

    columns = [
        [Field(str(place), place) for place in range(1, len(lines) + 1)],
        [Field(method_label(line.method)) for line in lines],
        column("accuracy", max), column("rank", min), column("recovered", max),
        column("perplexity", min, perplexity), column("seconds", min),
    ]  # fmt: skip
    header = ["#", "Method", "Accuracy", "Mean rank", "Recovered", "Perplexity", "Seconds"]
    rows = [list(row) for row in zip(*columns, strict=True)]
    return {"header": header, "body": Body(rows, (1,), wide=(0, 3, 6), low=(0, 3, 5, 6))}


def _results(results: Sequence[Evaluated]) -> dict[str, Any]:
    rows = [
        [
            Field(result.cell.model),
            Field(method_label(result.cell.method), link=f"#cell-{place}"),
            Field(result.cell.sparsity),
            Field(str(result.cell.seed)),
            *(number_field(result.accuracy[task]) for task in TASKS),
            Field(f"{result.average:.2f} ± {result.average_stderr:.2f}", result.average),
            number_field(share),
            _perplexity(result.perplexity),
        ]
        for place, (result, share) in enumerate(
            zip(results, recovered_shares(results), strict=True)
        )
    ]
    tasks = task_headings(TASK_HEADINGS, any_generated(results))
    header = ["Model", "Method", "Sparsity", "Seed", *tasks, "Average", "Recovered", "Perplexity"]
    body = Body(rows, (0, 1), filters=(0, 1, 2), wide=tuple(range(3, 10)), low=(2, 3, 12))
    return {"header": header, "body": body, "definition": DEFINITION}


def _perplexity(value: float) -> Field:
    return number_field(value, perplexity)


def _figure(path: Path, caption: str) -> dict[str, str]:
    # as an image of its own, so that the identifiers of two figures cannot meet
    return {"name": path.stem, "caption": caption, "data": _data(path, "image/svg+xml")}


def _data(path: Path, kind: str) -> str:
    return f"data:{kind};base64,{base64.b64encode(path.read_bytes()).decode()}"
