"""The report: one HTML file that holds everything and needs no network."""

import base64
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import yaml
from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

from leap_suite.artifacts.files import read_json, write_text
from leap_suite.plan.cell import Cell
from leap_suite.plan.methods import method_label
from leap_suite.report.page import masthead
from leap_suite.results.frame import Results, written
from leap_suite.results.speeds import batches
from leap_suite.tables import against_published, leaderboard, published_leads, verdict
from leap_suite.tables.caption import accuracy, counted, measured, recovered
from leap_suite.tables.context import Context
from leap_suite.tables.entries import Field, bytes_text, number, number_field, perplexity
from leap_suite.tables.headline import judge
from leap_suite.tables.main import added, damage, normed
from leap_suite.tables.published import read_published
from leap_suite.tables.speed import WAYS, name_of, speed_rows

_COLUMN = 300  # points, more than the width of a figure for one column

TEMPLATE = Path(__file__).with_name("page.html.j2")


@dataclass(frozen=True)
class Table:
    """Headings and rows, and the roles of columns, by their indices.

    `text` columns are aligned left, `filters` have a menu that selects rows, `wide` are hidden on a
    phone, in `low` smaller numbers are better, and `notes` explain headings.
    """

    headings: Sequence[str]
    rows: Sequence[Sequence[Field]]
    text: Sequence[int] = (0,)
    filters: Sequence[int] = ()
    wide: Sequence[int] = ()
    low: Sequence[int] = ()
    notes: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class PageInputs:
    """Files and settings shown on the page in addition to the results.

    `manifests` of the pruned checkpoints by the path of their cell; `figures`, SVG files with their
    captions; `tables`, files for download; `speeds`, files of measured speed; `command`, which
    makes the page; `day`, on which it was written; `repository`, an https address.
    """

    manifests: Mapping[str, Path]
    figures: Sequence[tuple[Path, str]]
    settings: Mapping[str, Any]
    tables: Sequence[Path] = ()
    speeds: Sequence[Path] = ()
    command: str = ""
    day: str = ""
    repository: str = ""


def write_page(results: Results, context: Context, inputs: PageInputs, output: Path) -> None:
    """Write the page."""
    environment = Environment(
        loader=FileSystemLoader(TEMPLATE.parent),
        autoescape=select_autoescape(default=True, default_for_string=True),
        undefined=StrictUndefined,
        trim_blocks=True,
    )
    judged, generated = judge(results, context), results.generated
    made = {path: read_json(file) for path, file in inputs.manifests.items()}
    cells, manifests = _provenance(results, made)
    text = environment.get_template(TEMPLATE.name).render(
        scale=context.scale,
        note=context.note,
        about=context.about,
        count=len(results.cells),
        facts=masthead.facts(results, made),
        command=inputs.command,
        day=inputs.day,
        repository=inputs.repository,
        subject=method_label(context.subject),
        rule=verdict.rule(context) if judged["against"] else verdict.no_verdict(context),
        mixed=judged["mixed"],
        verdicts=[_verdict(found, context, generated) for found in judged["against"]],
        published=_published(results) if context.published and not generated else None,
        leaderboard=Table(
            leaderboard.HEADINGS,
            leaderboard.leaderboard_fields(results),
            text=(1,),
            wide=(0, 3, 6),
            low=(0, 3, 5, 6),
            notes={"Mean rank": leaderboard.RANK},
        ),
        rank=leaderboard.RANK,
        results=_results(results),
        speed=_speed(results, inputs.speeds) if inputs.speeds else None,
        measured=measured(results).replace("`", ""),
        averaged=counted(results),
        recovered=f"{recovered(results)}{added(results)}".replace("`", ""),
        tables=[{"name": path.name, "data": _data(path, "text/plain")} for path in inputs.tables],
        # images, so that the identifiers of two figures do not meet
        figures=[
            _figure(path, caption.removeprefix(f"{context.note}. "))
            for path, caption in inputs.figures
        ],
        provenance=cells,
        manifests=manifests,
        settings=yaml.safe_dump(dict(inputs.settings), sort_keys=False, allow_unicode=True),
    )
    write_text(output, text)


def _verdict(found: Mapping[str, Any], context: Context, generated: bool) -> dict[str, Any]:
    claim = verdict.claim(found["accuracy"])
    label = method_label(context.subject)
    headings = ["Model", "Sparsity", "Baseline by accuracy", f"{accuracy(generated)}: {label} (%)",
                "Baseline (%)", "Difference", "p", f"Perplexity: {label}", "Perplexity: baseline",
                "Baseline by perplexity"]  # fmt: skip
    return {
        "name": found["name"],
        "first": found["first"],
        "best": verdict.best_baselines(found["accuracy"]),
        "claim": claim.capitalize(),
        "kind": claim.split()[0].rstrip(":"),
        "short": verdict.short_summary(found["accuracy"], generated),
        "details": verdict.summary(found).replace("`", ""),
        "table": Table(
            headings, verdict.fields(found), text=(0, 2, 9), wide=(3, 4, 7, 8, 9), low=(7, 8)
        ),
    }


def _published(results: Results) -> dict[str, Any]:
    """Comparisons with the published numbers, and LEAP's leads if LEAP was run."""
    numbers = read_published()
    comparisons = against_published.compare(results, numbers)
    leads = published_leads.leads(results, numbers)
    return {
        "summary": against_published.summary(comparisons),
        "rule": against_published.RULE.replace("`", ""),
        "table": Table(
            against_published.HEADINGS,
            against_published.fields(comparisons),
            text=(0, 2, 3, 8, 9),
            wide=(6, 7, 9),
        ),
        "sentences": published_leads.sentences(leads),
        "leads_rule": published_leads.RULE,
        "leads": None if leads["ours"].isna().all() else Table(
            published_leads.HEADINGS,
            [[Field(text) for text in row] for row in published_leads.texts(leads)],
            text=(0, 1, 4, 6, 7),
            wide=(4, 6, 7),
        ),
    }  # fmt: skip


def _results(results: Results) -> Table:
    headings = ["Method", "Model", "Sparsity", "Seed", "Average", *normed(results).values(),
                "Recovered", *damage(results).values(), "Perplexity",
                *(task.title for task in results.tasks)]  # fmt: skip
    fewer = ("Sparsity", "Seed", "Perplexity", *damage(results).values())
    low = [headings.index(name) for name in fewer]
    wide = [headings.index(name) for name in ("Seed", "Recovered")]
    rows = [
        [
            Field(method_label(cell["method"]), link=f"#cell-{place}"),
            Field(cell["model"]),
            Field(written(cell["sparsity"])),
            Field(str(cell["seed"])),
            Field(number(cell["average"], error=cell["average_stderr"]), cell["average"]),
            *(number_field(cell[name]) for name in normed(results)),
            number_field(cell["recovered_share"]),
            *(
                number_field(cell[name], partial(number, decimals=3) if name == "kl" else number)
                for name in damage(results)
            ),
            number_field(cell["ppl"], perplexity),
            *(
                number_field(cell[task.name], number if task.share else perplexity)
                for task in results.tasks
            ),
        ]
        for place, cell in results.cells.iterrows()
    ]
    return Table(headings, rows, text=(0, 1), filters=(0, 1, 2), wide=wide, low=low)


def _speed(results: Results, speeds: Sequence[Path]) -> Table:
    rows = speed_rows(results, speeds)
    at = batches(rows)
    headings = ["Method", "Model", "Sparsity", "Weights", "Average", "Perplexity", "Bytes",
                *(f"Tokens/s, {batch} {'text' if batch == 1 else 'texts'}" for batch in at),
                *(f"× dense, {batch}" for batch in at)]  # fmt: skip
    fields = [
        [
            Field(name_of(row["method"])),
            Field(row["model"]),
            Field(row["sparsity"]),
            Field(WAYS[row["way"]]),
            number_field(row["average"]),
            number_field(row["ppl"], perplexity),
            number_field(row["weight_bytes"], bytes_text),
            *(number_field(row[f"speed_{batch}"], lambda value: number(value, 1)) for batch in at),
            *(number_field(row[f"gain_{batch}"]) for batch in at),
        ]
        for row in rows.to_dict("records")
    ]
    return Table(headings, fields, text=(0, 1, 3), filters=(0, 1, 2, 3), wide=(4, 5), low=(5, 6))


def _figure(path: Path, caption: str) -> dict[str, Any]:
    """`wide`: for a page's width in print, not for a column's."""
    width = re.search(r'<svg[^>]* width="([\d.]+)', path.read_text())
    wide = width is not None and float(width[1]) > _COLUMN
    data = _data(path, "image/svg+xml")
    return {"name": path.stem, "caption": caption, "data": data, "wide": wide}


def _provenance(results: Results, manifests: Mapping[str, Any]) -> tuple[Table, list[Any]]:
    """Table of all cells, and their manifests as text; `manifests` are by the cell's path."""
    rows, texts = [], []
    for row in results.cells.itertuples():
        cell = Cell.at(row.model, row.method, row.sparsity, row.seed)
        manifest = manifests.get(cell.path, {})
        label = f"{cell.model}, {method_label(cell.method)}, sparsity {cell.sparsity}"
        label += f", seed {cell.seed}" if cell.seed else ""
        rows.append(_cell(row, manifest))
        text = _manifest(row, manifest)
        texts.append({"anchor": f"cell-{row.Index}", "label": label, "text": text})
    headings = ["Method", "Model", "Sparsity", "Seed", "Achieved", "Seconds", "Peak GB", "Device",
                "Commit"]  # fmt: skip
    table = Table(
        headings,
        rows,
        text=(0, 1, 7, 8),
        filters=(0, 1, 2),
        wide=(3, 4, 6, 8),
        low=(2, 3, 5, 6),
    )
    return table, texts


def _manifest(row: Any, manifest: Mapping[str, Any]) -> str:
    how = {name: getattr(row, name) for name in ("dtype", "device", "versions", "commit")}
    facts: dict[str, Any] = {"evaluation": how}
    if manifest:
        # without the entries for every layer and tile, which the figures show
        shown = {name: value for name, value in manifest.items() if name != "layer_sparsity"}
        selection = {k: v for k, v in manifest["selection"].items() if k != "tiles"}
        facts["manifest"] = {**shown, "selection": selection}
    return yaml.safe_dump(facts, sort_keys=False, allow_unicode=True, default_flow_style=None)


def _cell(row: Any, manifest: Mapping[str, Any]) -> list[Field]:
    gpu, cpu = (float(getattr(row, name, math.nan)) for name in ("peak_gpu_bytes", "peak_bytes"))
    return [
        Field(method_label(row.method), link=f"#cell-{row.Index}"),
        Field(row.model),
        Field(written(row.sparsity)),
        Field(str(row.seed)),
        number_field(row.achieved_sparsity, lambda value: number(value, 4)),
        number_field(getattr(row, "wall_seconds", math.nan), lambda value: number(value, 1)),
        number_field((cpu if math.isnan(gpu) or not gpu else gpu) / 1e9),
        Field(masthead.device_of(manifest) if manifest else row.device),
        Field(masthead.short_commit(str(manifest.get("git_commit", row.commit)))),
    ]


def _data(path: Path, kind: str) -> str:
    return f"data:{kind};base64,{base64.b64encode(path.read_bytes()).decode()}"
