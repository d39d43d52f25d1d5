"""Provenance of every cell: cost, device and commit as a table, settings and manifest as text."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from suite.artifacts.files import read_json
from suite.plan.cell import Cell
from suite.plan.methods import method_label
from suite.report.page.table import Table
from suite.results.frame import Results, written
from suite.tables.field import Field, number_field
from suite.tables.numbers import number

HEADINGS = ("Method", "Model", "Sparsity", "Seed", "Achieved", "Seconds", "Peak GB", "Device",
            "Commit")  # fmt: skip


@dataclass(frozen=True)
class Manifest:
    """Evaluation and manifest of a cell as YAML, with the cell's anchor and name on the page."""

    anchor: str
    label: str
    text: str


def provenance(results: Results, manifests: Mapping[str, Path]) -> tuple[Table, list[Manifest]]:
    """The table of all cells, and their manifests; `manifests` are files by the cell's path."""
    rows, texts = [], []
    for row in results.cells.itertuples():
        cell = Cell.at(row.model, row.method, row.sparsity, row.seed)
        manifest = read_json(manifests[cell.path]) if cell.path in manifests else {}
        label = f"{cell.model}, {method_label(cell.method)}, sparsity {cell.sparsity}"
        label += f", seed {cell.seed}" if cell.seed else ""
        rows.append(_fields(row, manifest))
        texts.append(Manifest(anchor(row.Index), label, _text(row, manifest)))
    table = Table(
        HEADINGS, rows, text=(0, 1, 7, 8), filters=(0, 1, 2), wide=(3, 4, 6, 8), low=(2, 3, 5, 6)
    )
    return table, texts


def anchor(place: int) -> str:
    """Identifier, on the page, of the manifest of a row of the results."""
    return f"cell-{place}"


def _text(row: Any, manifest: Mapping[str, Any]) -> str:
    how = {name: getattr(row, name) for name in ("dtype", "device", "versions", "commit")}
    facts: dict[str, Any] = {"evaluation": how}
    if manifest:
        # without the entries for every layer and tile, which the figures show
        shown = {name: value for name, value in manifest.items() if name != "layer_sparsity"}
        selection = {k: v for k, v in manifest["selection"].items() if k != "tiles"}
        facts["manifest"] = {**shown, "selection": selection}
    return yaml.safe_dump(facts, sort_keys=False, allow_unicode=True, default_flow_style=None)


def _fields(row: Any, manifest: Mapping[str, Any]) -> list[Field]:
    made_by = manifest.get("pruning", {})
    commit, dirty, _ = str(manifest.get("git_commit", row.commit)).partition("-dirty")
    return [
        Field(method_label(row.method), link=f"#{anchor(row.Index)}"),
        Field(row.model),
        Field(written(row.sparsity)),
        Field(str(row.seed)),
        number_field(row.achieved_sparsity, lambda value: number(value, 4)),
        number_field(getattr(row, "wall_seconds", math.nan), lambda value: number(value, 1)),
        number_field(_peak(row)),
        Field(made_by.get("gpu") or made_by.get("device", "" if manifest else row.device)),
        Field(commit[:7] + dirty),
    ]


def _peak(row: Any) -> float:
    """Peak memory in GB, of the GPU if one was used."""
    gpu, cpu = (float(getattr(row, name, math.nan)) for name in ("peak_gpu_bytes", "peak_bytes"))
    return (cpu if math.isnan(gpu) or not gpu else gpu) / 1e9
