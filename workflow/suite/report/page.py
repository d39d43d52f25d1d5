"""The report: one HTML file that holds everything and needs no network."""

import base64
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

from suite.artifacts.files import read_json, replacing
from suite.plan.methods import method_label
from suite.tables import against_published, verdict
from suite.tables.against_published import Comparison
from suite.tables.evaluations import TASKS, Cell, read_cells

TEMPLATE = Path(__file__).with_name("page.html.j2")

_TASK_HEADINGS = ("PIQA", "ARC-E", "ARC-C", "WinoGrande", "OBQA", "MMLU")  # of TASKS


@dataclass(frozen=True)
class Field:
    """A cell of a table: what is shown, and the number it is sorted by if that is another."""

    text: str
    sort: float | None = None


@dataclass(frozen=True)
class Body:
    """Rows of a table, and which columns hold text rather than numbers."""

    rows: list[list[Field]]
    text: tuple[int, ...] = field(default=(0,))


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
) -> None:
    """Write the page.

    `manifests` are those of the pruned checkpoints by the path of their cell; `comparisons` with
    the published numbers are empty where the models are not the paper's; `figures` are SVG files
    with their captions.
    """
    environment = Environment(
        loader=FileSystemLoader(TEMPLATE.parent),
        autoescape=select_autoescape(default=True, default_for_string=True),
        undefined=StrictUndefined,
        trim_blocks=True,
    )
    cells = read_cells(evaluations)
    judged = read_json(headline)
    text = environment.get_template(TEMPLATE.name).render(
        scale=scale,
        about=about,
        rule=verdict.RULE,
        verdicts=[_verdict(judged, entry, name) for entry, name in verdict.OPPONENTS],
        published=_published(comparisons) if comparisons else None,
        results=_results(cells),
        figures=[_figure(path, caption) for path, caption in figures],
        rows=[_row(c, p, manifests) for c, p in zip(cells, evaluations, strict=True)],
        settings=yaml.safe_dump(dict(settings), sort_keys=False, allow_unicode=True),
    )
    with replacing(output) as temporary:
        temporary.write_text(text, encoding="utf-8")


def _verdict(judged: Mapping[str, Any], entry: str, name: str) -> dict[str, Any]:
    accuracy, perplexity = judged["average_accuracy"][entry], judged["perplexity"][entry]
    claim = verdict.claim(accuracy)
    kind = claim.split()[0].rstrip(":")
    found: dict[str, Any] = {"name": name, "claim": claim.capitalize(), "kind": kind, "details": ""}
    if accuracy is None:
        return found
    rows = [
        [
            Field(a["model"]),
            Field(a["sparsity"]),
            Field(method_label(a["baseline"])),
            _number(a["leap"]),
            _number(a["baseline_value"]),
            Field(f"{a['difference']:+.2f} ± {a['standard_error']:.2f}", a["difference"]),
            Field(verdict.p_text(a["p_value"]), a["p_value"]),
            _number(p["leap"]),
            _number(p["baseline_value"]),
        ]
        for a, p in zip(accuracy["cells"], perplexity["cells"], strict=True)
    ]
    header = ["Model", "Sparsity", "Baseline", "LEAP (%)", "Baseline (%)", "Difference", "p",
              "LEAP ppl", "Baseline ppl"]  # fmt: skip
    details = verdict.summary(accuracy, perplexity)
    return {**found, "details": details, "header": header, "body": Body(rows, (0, 2))}


def _published(comparisons: Sequence[Comparison]) -> dict[str, Any]:
    rows = [
        [
            Field(c.model), Field(c.sparsity), Field(method_label(c.method)), Field(c.measure),
            _number(c.ours), _number(c.published), _number(c.difference),
            _number(c.combined_stderr), Field(c.verdict),
        ]
        for c in comparisons
    ]  # fmt: skip
    header = ["Model", "Sparsity", "Method", "Measure", "Ours", "Published", "Difference",
              "Combined s.e.", "Verdict"]  # fmt: skip
    counts = against_published.counts(comparisons)
    summary = ", ".join(f"{name}: {count}" for name, count in counts.items()) + "."
    rule = against_published.RULE.replace("`", "")
    return {"summary": summary, "header": header, "body": Body(rows, (0, 2, 3, 8)), "rule": rule}


def _results(cells: Sequence[Cell]) -> dict[str, Any]:
    rows = [
        [
            Field(cell.model),
            Field(method_label(cell.method)),
            Field(cell.sparsity),
            Field(str(cell.seed)),
            *(_number(cell.accuracy[task]) for task in TASKS),
            Field(f"{cell.average:.2f} ± {cell.average_stderr:.2f}", cell.average),
            _number(cell.perplexity),
        ]
        for cell in cells
    ]
    header = ["Model", "Method", "Sparsity", "Seed", *_TASK_HEADINGS, "Average", "Perplexity"]
    return {"header": header, "body": Body(rows, (0, 1))}


def _number(value: float) -> Field:
    return Field("–") if math.isnan(value) else Field(f"{value:.2f}", value)


def _figure(path: Path, caption: str) -> dict[str, str]:
    # as an image of its own, so that the identifiers of two figures cannot meet
    data = base64.b64encode(path.read_bytes()).decode()
    return {"name": path.stem, "caption": caption, "data": f"data:image/svg+xml;base64,{data}"}


def _row(cell: Cell, evaluation: Path, manifests: Mapping[str, Path]) -> dict[str, str]:
    label = f"{cell.model}, {method_label(cell.method)}, sparsity {cell.sparsity}"
    label += f", seed {cell.seed}" if cell.seed else ""
    below = f"/seed-{cell.seed}" if cell.seed else ""
    manifest = manifests.get(f"{cell.model}/{cell.method}/{cell.sparsity}{below}")
    facts = {"evaluation": read_json(evaluation)["provenance"]}
    if manifest:
        facts["manifest"] = read_json(manifest)
        # a figure shows the one, and the other is as long as the model has tiles
        del facts["manifest"]["layer_sparsity"]
        facts["manifest"]["selection"].pop("tiles", None)
    return {"label": label, "provenance": json.dumps(facts, indent=1, ensure_ascii=False)}
