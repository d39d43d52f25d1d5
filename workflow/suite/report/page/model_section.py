"""A section a model: its accuracies, where LEAP keeps weights, LEAP's training, its manifests."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from suite.artifacts.files import read_json
from suite.plan.cell import DENSE, LEAP
from suite.plan.grid import first_seeds
from suite.plan.methods import method_label
from suite.report.page.bars import Panel, panels_by_sparsity
from suite.report.page.density_map import DensityMap, density_maps, largest_difference
from suite.report.page.table import Body, Field, number_field
from suite.report.page.training_curve import Chart, charts
from suite.tables.evaluations import Evaluated
from suite.tables.numbers import number
from suite.tables.trainings import Training

CELL_HEADINGS = ("Method", "Sparsity", "Seed", "Achieved", "Seconds", "Peak GB", "Device", "Commit")


@dataclass(frozen=True)
class MadeCell:
    """A cell with what made it: its number on the page, its manifest ({} for dense), and both
    manifest and the provenance of its evaluation as text."""

    result: Evaluated
    place: int
    manifest: Mapping[str, Any]
    provenance: Mapping[str, Any]
    text: str

    @property
    def label(self) -> str:
        """Its name for readers."""
        cell = self.result.cell
        label = f"{cell.model}, {method_label(cell.method)}, sparsity {cell.sparsity}"
        return f"{label}, seed {cell.seed}" if cell.seed else label


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
    results: Sequence[Evaluated],
    evaluations: Sequence[Path],
    manifests: Mapping[str, Path],
    trainings: Sequence[Training],
) -> list[ModelSection]:
    """The sections, in the order of the results.

    `evaluations` are the files of the results, `manifests` those of the pruned checkpoints by the
    path of their cell, `trainings` those of LEAP.
    """
    made = [
        _made(place, result, file, manifests)
        for place, (result, file) in enumerate(zip(results, evaluations, strict=True))
    ]
    return [
        _section(
            model,
            [cell for cell in made if cell.result.cell.model == model],
            [training for training in trainings if training.model == model],
        )
        for model in dict.fromkeys(result.cell.model for result in results)
    ]


def _made(
    place: int, result: Evaluated, evaluation: Path, manifests: Mapping[str, Path]
) -> MadeCell:
    file = manifests.get(result.cell.path)
    manifest = read_json(file) if file else {}
    provenance = read_json(evaluation)["provenance"]
    return MadeCell(result, place, manifest, provenance, _text(provenance, manifest))


def _text(provenance: Mapping[str, Any], manifest: Mapping[str, Any]) -> str:
    facts: dict[str, Any] = {"evaluation": provenance}
    if manifest:
        # as long as the model has layers and tiles, and the first is what the maps show
        shown = {name: value for name, value in manifest.items() if name != "layer_sparsity"}
        selection = {k: v for k, v in manifest["selection"].items() if k != "tiles"}
        facts["manifest"] = {**shown, "selection": selection}
    return yaml.safe_dump(facts, sort_keys=False, allow_unicode=True, default_flow_style=None)


def _section(model: str, cells: Sequence[MadeCell], trainings: Sequence[Training]) -> ModelSection:
    results = [cell.result for cell in cells]
    firsts = first_seeds([r.cell for r in results if r.cell.method == LEAP])
    of_leap = [cell for cell in cells if cell.result.cell in firsts]
    learned = [cell.manifest for cell in of_leap if cell.manifest]
    return ModelSection(
        model,
        _summary(results, [cell.result for cell in of_leap]),
        panels_by_sparsity(results),
        density_maps(learned),
        number(largest_difference(learned), 1),
        charts(trainings),
        cells,
        Body([_row(cell) for cell in cells], (0, 6, 7), wide=(2, 3, 5, 7), low=(1, 2, 4, 5)),
    )


def _summary(results: Sequence[Evaluated], of_leap: Sequence[Evaluated]) -> str:
    """Average accuracies of the dense model and of LEAP, for readers who choose a section."""
    dense = [f"dense {number(r.average)} %" for r in results if r.cell.method == DENSE]
    ordered = sorted(of_leap, key=lambda result: result.cell.target)
    leap = [f"LEAP {number(result.average)} % at {result.cell.sparsity}" for result in ordered]
    return ", ".join(dense + leap)


def _row(cell: MadeCell) -> list[Field]:
    named, manifest = cell.result.cell, cell.manifest
    cost = manifest["pruning"]["cost"] if manifest else {}
    made_by = manifest["pruning"] if manifest else cell.provenance
    commit, dirty, _ = str((manifest or cell.provenance).get("git_commit", "")).partition("-dirty")
    return [
        Field(method_label(named.method), link=f"#cell-{cell.place}"),
        Field(named.sparsity),
        Field(str(named.seed)),
        number_field(cell.result.achieved_sparsity, lambda value: number(value, 4)),
        number_field(cost.get("wall_time_seconds", math.nan), lambda value: number(value, 1)),
        number_field(_peak(cost)),
        Field(made_by.get("gpu") or made_by.get("device", "")),
        Field(commit[:7] + dirty),
    ]


def _peak(cost: Mapping[str, Any]) -> float:
    """Peak memory in GB, of the GPU where there is one."""
    return (cost.get("peak_gpu_memory_bytes") or cost.get("peak_memory_bytes", math.nan)) / 1e9
