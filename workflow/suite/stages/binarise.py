"""From learned logits to the mask of one cell, one bit a weight: after this, logits may go."""

import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from suite.artifacts.files import read_json, write_json
from suite.artifacts.masks import save_masks
from suite.artifacts.tensors import load_masks, load_tensors
from suite.trained_methods import parameterisation, trainer_settings

if TYPE_CHECKING:
    from torch import Tensor

    from leap.parameterisations import Tiles


def binarise(
    logits: Path,
    report: Path,
    sparse: Path | None,
    method: str,
    rule: str,
    outputs: Mapping[str, str],
) -> dict[str, Any]:
    """Write the outputs `mask` and `choice`: how it was chosen, which is also returned.

    `rule` is `exact` for the largest logits of the whole model, or `threshold` for the positive
    ones, whose density is recorded in either case. `choice` also says by how many survivors the
    count may miss its target (null: by any number), and for PATCH which tiles are dense. `sparse`
    is the file of PATCH's N:M masks. Raises ValueError for NaN.
    """
    from leap.hardening import density
    from leap.parameterisations import Learned, Tiles

    trained = read_json(report)
    values = trained["settings"]
    what = parameterisation(method, values)
    settings = trainer_settings({**values, "hardening": rule}, values["sparsity"], values["seed"])
    shapes = {name: (rows, columns) for name, (rows, columns) in trained["layers"].items()}
    stored = load_tensors(logits)
    # safetensors sorts by name; ties are broken in model order
    in_order = {**{name: stored[name] for name in shapes}, **stored}
    below = load_masks(sparse) if sparse else None
    learned = Learned(in_order, settings, what, shapes, below)
    at_threshold = replace(learned, settings=replace(settings, hardening="threshold")).masks
    masks = at_threshold if rule == "threshold" else learned.masks
    choice = {
        "rule": rule,
        "threshold_density": density(at_threshold),
        "tolerance": 0 if rule == "exact" else None,
    }
    if isinstance(what, Tiles):
        choice |= {"tiles": _tile_map(what, what.dense_tiles(learned))}
        if rule == "exact":
            # half of what the largest tile can change
            choice["tolerance"] = math.ceil(what.size**2 * (what.m - what.n) / what.m / 2)
    save_masks(masks, outputs["mask"])
    write_json(outputs["choice"], choice)
    return choice


def _tile_map(what: "Tiles", dense: Mapping[str, "Tensor"]) -> dict[str, Any]:
    """Which tiles are dense: a row of tiles is written as one string of 0 and 1."""
    rows = {
        name: ["".join(map(str, row_V)) for row_V in dense_UV.int().tolist()]
        for name, dense_UV in dense.items()
    }
    return {"size": what.size, "pattern": f"{what.n}:{what.m}", "dense": rows}
