"""The report: one HTML file that holds everything and needs no network."""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import yaml
from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

from suite.artifacts.files import write_text
from suite.plan.methods import method_label
from suite.report.page import bars, training_curve
from suite.report.page.model_section import CELL_HEADINGS, model_sections
from suite.report.page.table import Body
from suite.results.frame import Results, written
from suite.results.statistics import RECOVERED
from suite.tables import against_published, leaderboard, published_leads, verdict
from suite.tables.caption import counted, measured
from suite.tables.field import Field, number_field
from suite.tables.generated import accuracy
from suite.tables.headline import judge
from suite.tables.numbers import number, perplexity
from suite.tables.published import read_published
from suite.tables.told import Told
from suite.tables.trainings import read_training

TEMPLATE = Path(__file__).with_name("page.html.j2")


@dataclass(frozen=True)
class Beside:
    """What the page shows beside the results.

    `manifests` are those of the pruned checkpoints by the path of their cell; `figures` are SVG
    files with their captions; `tables` are files that readers can save; `journals` are those of the
    subject's trainings; `settings` are the run's.
    """

    manifests: Mapping[str, Path]
    figures: Sequence[tuple[Path, str]]
    settings: Mapping[str, Any]
    tables: Sequence[Path] = ()
    journals: Sequence[Path] = ()


def write_page(results: Results, told: Told, beside: Beside, output: Path) -> None:
    """Write the page."""
    environment = Environment(
        loader=FileSystemLoader(TEMPLATE.parent),
        autoescape=select_autoescape(default=True, default_for_string=True),
        undefined=StrictUndefined,
        trim_blocks=True,
    )
    judged, generated = judge(results, told), results.generated
    in_grid = told.subject in set(results.cells["method"])
    text = environment.get_template(TEMPLATE.name).render(
        scale=told.scale,
        note=told.note,
        about=told.about,
        subject=method_label(told.subject) if in_grid else "",
        rule=verdict.rule(told),
        no_verdict="" if judged["against"] else verdict.no_verdict(told),
        mixed=judged["mixed"],
        first_verdicts=[_first_verdict(v, generated) for v in judged["against"] if v["first"]],
        verdicts=[_verdict(found, told, generated) for found in judged["against"]],
        published=_published(results) if told.published else None,
        leaderboard={
            "header": leaderboard.HEADINGS,
            "body": Body(
                leaderboard.leaderboard_fields(results), (1,), wide=(0, 3, 6), low=(0, 3, 5, 6)
            ),
        },
        results=_results(results),
        tables=[{"name": path.name, "data": _data(path, "text/plain")} for path in beside.tables],
        figures=[_figure(path, caption) for path, caption in beside.figures],
        models=model_sections(
            results,
            beside.manifests,
            [read_training(journal, training_curve.SHOWN) for journal in beside.journals],
            told.subject,
        ),
        cell_headings=CELL_HEADINGS,
        bars=bars,
        curve=training_curve,
        trained=bool(beside.journals),
        settings=yaml.safe_dump(dict(beside.settings), sort_keys=False, allow_unicode=True),
    )
    write_text(output, text)


def _first_verdict(found: Mapping[str, Any], generated: bool) -> dict[str, str]:
    """What stands at the head of the page."""
    return {
        **_claim(found["accuracy"]),
        "name": f"{found['name']} ({verdict.best_baselines(found['accuracy'])})",
        "found": verdict.short_summary(found["accuracy"], generated),
    }


def _claim(of_accuracy: Mapping[str, Any]) -> dict[str, str]:
    claim = verdict.claim(of_accuracy)
    return {"claim": claim.capitalize(), "kind": claim.split()[0].rstrip(":")}


def _verdict(found: Mapping[str, Any], told: Told, generated: bool) -> dict[str, Any]:
    label = method_label(told.subject)
    header = ["Model", "Sparsity", "Baseline by accuracy", f"{accuracy(generated)}: {label} (%)",
              "Baseline (%)", "Difference", "p", f"Perplexity: {label}", "Perplexity: baseline",
              "Baseline by perplexity"]  # fmt: skip
    body = Body(verdict.fields(found), (0, 2, 9), wide=(3, 4, 7, 8, 9), low=(7, 8))
    return {
        "name": found["name"],
        **_claim(found["accuracy"]),
        "details": verdict.summary(found),
        "header": header,
        "body": body,
    }


def _published(results: Results) -> dict[str, Any] | None:
    """Comparisons with the published numbers; None of generated tasks, which have none."""
    if results.generated:
        return None
    published = read_published()
    comparisons = against_published.compare(results, published)
    rows = against_published.fields(comparisons)
    return {
        "summary": against_published.summary(comparisons),
        "header": against_published.HEADINGS,
        "body": Body(rows, (0, 2, 3, 8, 9), wide=(6, 7, 9)),
        "rule": against_published.RULE.replace("`", ""),
        "leads": _leads(published_leads.leads(results, published)),
    }


def _leads(leads: pd.DataFrame) -> dict[str, Any] | None:
    """LEAP's published leads beside ours; None where there are none of ours."""
    if leads["ours"].isna().all():
        return None
    rows = [[Field(text) for text in row] for row in published_leads.texts(leads)]
    return {
        "sentences": published_leads.sentences(leads),
        "header": published_leads.HEADINGS,
        "body": Body(rows, (0, 1, 4, 6, 7), wide=(4, 6, 7)),
        "rule": published_leads.RULE,
    }


def _results(results: Results) -> dict[str, Any]:
    header = ["Model", "Method", "Sparsity", "Seed", "Average", "Recovered", "Perplexity",
              *(task.title for task in results.tasks)]  # fmt: skip
    rows = [_result(cell, results) for _, cell in results.cells.iterrows()]
    wide = (3, 5, *range(7, len(header)))
    body = Body(rows, (0, 1), filters=(0, 1, 2), wide=wide, low=(2, 3, 6))
    return {
        "header": header,
        "body": body,
        "measured": measured(results).replace("`", ""),
        "averaged": counted(results),
        "definition": RECOVERED,
    }


def _result(cell: pd.Series, results: Results) -> list[Field]:
    average, error = cell["average"], cell["average_stderr"]
    return [
        Field(cell["model"]),
        Field(method_label(cell["method"]), link=f"#cell-{cell.name}"),
        Field(written(cell["sparsity"])),
        Field(str(cell["seed"])),
        Field(number(average, error=error), average),
        number_field(cell["recovered_share"]),
        _perplexity(cell["ppl"]),
        *(
            number_field(cell[task.name], number if task.share else perplexity)
            for task in results.tasks
        ),
    ]


def _perplexity(value: float) -> Field:
    return number_field(value, perplexity)


def _figure(path: Path, caption: str) -> dict[str, str]:
    # as an image of its own, so that the identifiers of two figures cannot meet
    return {"name": path.stem, "caption": caption, "data": _data(path, "image/svg+xml")}


def _data(path: Path, kind: str) -> str:
    return f"data:{kind};base64,{base64.b64encode(path.read_bytes()).decode()}"
