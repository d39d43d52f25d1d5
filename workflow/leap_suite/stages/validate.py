"""Perplexity of a cell on the validation corpus, for choosing settings."""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from leap_suite.artifacts.files import write_json
from leap_suite.jobs.precision import compute_dtype
from leap_suite.jobs.provenance import choose_device, compute_setting
from leap_suite.plan.cell import Cell
from leap_suite.stages import corpora, models
from leap_suite.stages.perplexity import perplexity


def validate(
    model_directory: Path,
    checkpoint: Path,
    validation: Path,
    cell: Cell,
    recipe: Mapping[str, Any],
    output: Path,
) -> None:
    """Write the perplexity of the checkpoint."""
    device = choose_device()
    dtype = compute_dtype(models.describe(model_directory, recipe["model"])["dtype"], device)
    model = models.load_model(checkpoint, dtype, device)
    windows_ST, corpus = corpora.read(validation, recipe["validation"])
    quality = perplexity(model, windows_ST, recipe["batch_tokens"])
    write_json(
        output,
        {
            **asdict(cell),
            "perplexity": quality,
            "corpus": corpus,
            "recipe": recipe,
            **compute_setting(dtype, device, model),
        },
    )
