"""A section a model: accuracies, where the subject keeps weights, its training, manifests."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from suite.artifacts.files import read_json
from suite.plan.cell import DENSE, Cell
from suite.plan.methods import method_label
from suite.report.page.bars import Panel, panels_by_sparsity
from suite.report.page.density_map import DensityMap, density_maps, largest_difference
from suite.report.page.table import Body
from suite.report.page.training_curve import Chart, charts
from suite.results.frame import PLACE, Results, written
from suite.tables.field import Field, number_field
from suite.tables.numbers import number
from suite.tables.trainings import Training

CELL_HEADINGS = ("Method", "Sparsity", "Seed", "Achieved", "Seconds", "Peak GB", "Device", "Commit")


@dataclass(frozen=True)
class MadeCell:
    """A cell with what made it: its number on the page, its name for readers, and its manifest, {}
    for dense, with how it was evaluated as text."""

    place: int
    label: str
    manifest: Mapping[str, Any]
    text: str


@dataclass(frozen=True)
class ModelSection:
    """What the page shows of one model."""

    name: str
    summary: str
    panels: Mapping[str, Sequence[Panel]]
    maps: Sequence[DensityMap]
    largest_difference: str  # from the target, of the layers on the maps, in points
    charts: Sequence[Chart]
    cells: Sequence[MadeCell]
    table: Body


def model_sections(
    results: Results,
    manifests: Mapping[str, Path],
    trainings: Sequence[Training],
    subject: str,
) -> list[ModelSection]:
    """The sections, in the order of the results.

    `manifests` are those of the pruned checkpoints by the path of their cell, `trainings` those of
    the subject.
    """
    made = {row.Index: _made(row, manifests) for row in results.cells.itertuples()}
    return [
        _section(
            results,
            results.cells[results.cells["model"] == model],
            made,
            [training for training in trainings if training.model == model],
            subject,
        )
        for model in results.models
    ]


def _made(row: Any, manifests: Mapping[str, Path]) -> MadeCell:
    cell = Cell.at(row.model, row.method, row.sparsity, row.seed)
    file = manifests.get(cell.path)
    manifest = read_json(file) if file else {}
    label = f"{cell.model}, {method_label(cell.method)}, sparsity {cell.sparsity}"
    label += f", seed {cell.seed}" if cell.seed else ""
    return MadeCell(row.Index, label, manifest, _text(row, manifest))


def _text(row: Any, manifest: Mapping[str, Any]) -> str:
    how = {name: getattr(row, name) for name in ("dtype", "device", "versions", "commit")}
    facts: dict[str, Any] = {"evaluation": how}
    if manifest:
        # as long as the model has layers and tiles, and the first is what the maps show
        shown = {name: value for name, value in manifest.items() if name != "layer_sparsity"}
        selection = {k: v for k, v in manifest["selection"].items() if k != "tiles"}
        facts["manifest"] = {**shown, "selection": selection}
    return yaml.safe_dump(facts, sort_keys=False, allow_unicode=True, default_flow_style=None)


def _section(
    results: Results,
    cells: pd.DataFrame,
    made: Mapping[int, MadeCell],
    trainings: Sequence[Training],
    subject: str,
) -> ModelSection:
    model = str(cells["model"].iloc[0])
    firsts = cells[cells["method"] == subject].drop_duplicates(PLACE)
    learned = [made[place].manifest for place in firsts.index if made[place].manifest]
    rows = [_row(row, made[row.Index].manifest) for row in cells.itertuples()]
    return ModelSection(
        model,
        _summary(cells, firsts),
        panels_by_sparsity(results, model, subject),
        density_maps(learned),
        number(largest_difference(learned), 1),
        charts(trainings),
        [made[place] for place in cells.index],
        Body(rows, (0, 6, 7), wide=(2, 3, 5, 7), low=(1, 2, 4, 5)),
    )


def _summary(cells: pd.DataFrame, of_subject: pd.DataFrame) -> str:
    """Average accuracies of the dense model and of the subject, for who chooses a section."""
    dense = [f"dense {number(value)} %" for value in cells[cells["method"] == DENSE]["average"]]
    found = [
        f"{method_label(row.method)} {number(row.average)} % at {written(row.sparsity)}"
        for row in of_subject.sort_values("sparsity").itertuples()
    ]
    return ", ".join(dense + found)


def _row(row: Any, manifest: Mapping[str, Any]) -> list[Field]:
    made_by = manifest.get("pruning", {})
    commit, dirty, _ = str(manifest.get("git_commit", row.commit)).partition("-dirty")
    return [
        Field(method_label(row.method), link=f"#cell-{row.Index}"),
        Field(written(row.sparsity)),
        Field(str(row.seed)),
        number_field(row.achieved_sparsity, lambda value: number(value, 4)),
        number_field(getattr(row, "wall_seconds", math.nan), lambda value: number(value, 1)),
        number_field(_peak(row)),
        Field(made_by.get("gpu") or made_by.get("device", "" if manifest else row.device)),
        Field(commit[:7] + dirty),
    ]


def _peak(row: Any) -> float:
    """Peak memory in GB, of the GPU where there is one."""
    gpu, cpu = (float(getattr(row, name, math.nan)) for name in ("peak_gpu_bytes", "peak_bytes"))
    return (cpu if math.isnan(gpu) or not gpu else gpu) / 1e9
