"""From learned logits to the mask of one cell, one bit a weight: after this, logits may go."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from suite.files import read_json, write_json
from suite.masks import save_masks
from suite.tensors import load_tensors


def binarise(
    logits: Path, report: Path, rule: str, sparsity: float, outputs: Mapping[str, str]
) -> dict[str, Any]:
    """Write the outputs `mask` and `choice`: how it was chosen, which is also returned.

    `rule` is `exact` for the largest logits of the whole model, or `threshold` for the positive
    ones, whose density is recorded in either case. Raises ValueError for NaN.
    """
    from leap import hardening

    stored = load_tensors(logits)
    # safetensors sorts by name; ties are broken in model order
    in_order = {name: stored[name] for name in read_json(report)["layers"]}
    at_threshold = hardening.threshold_masks(in_order)
    masks = at_threshold if rule == "threshold" else hardening.exact_masks(in_order, sparsity)
    choice = {"rule": rule, "threshold_density": hardening.density(at_threshold)}
    save_masks(masks, outputs["mask"])
    write_json(outputs["choice"], choice)
    return choice
