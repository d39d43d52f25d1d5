"""Mask of a cell from its learned logits, at one bit per weight."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from leap_suite.artifacts.files import read_json, write_json
from leap_suite.artifacts.masks import save_masks
from leap_suite.artifacts.tensors import load_masks, load_tensors


def binarise(
    logits: Path,
    report: Path,
    sparse: Path | None,
    implementation: str,
    recipe: Mapping[str, Any],
    outputs: Mapping[str, str],
) -> dict[str, Any]:
    """Write the outputs `mask` and `choice`; return `choice`, the description of the selection.

    The `rule` of the recipe is `exact` for the largest logits of the whole model, or `threshold`
    for the positive ones, whose density is recorded in either case. `choice` also has the tolerance
    of the survivor count (null: any count), and the method's own description, such as PATCH's dense
    tiles. `sparse` is the file of PATCH's N:M masks. Raises ValueError for NaN.
    """
    from leap.methods.parameterisation import Learned, load
    from leap.selection import density, describe_masks, select_masks
    from leap.settings import Settings, make_settings

    trained, rule = read_json(report), recipe["rule"]
    values = trained["settings"]
    settings = make_settings(
        Settings, {**values, "selection": rule}, values["sparsity"], values["seed"]
    )
    shapes = {name: (rows, columns) for name, (rows, columns) in trained["layers"].items()}
    stored = load_tensors(logits)
    # safetensors sorts by name; ties are broken in model order
    in_order = {**{name: stored[name] for name in shapes}, **stored}
    below = load_masks(sparse) if sparse else None
    learned = Learned(in_order, settings, load(implementation).from_settings(values), shapes, below)
    at_threshold = replace(learned, settings=replace(settings, selection="threshold"))
    positive = select_masks(at_threshold)
    choice = {
        "rule": rule,
        "recipe": dict(recipe),
        "threshold_density": density(positive),
        "tolerance": 0 if rule == "exact" else None,
        **describe_masks(learned),
    }
    save_masks(positive if rule == "threshold" else select_masks(learned), outputs["mask"])
    write_json(outputs["choice"], choice)
    return choice
