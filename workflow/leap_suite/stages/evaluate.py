"""Evaluation of a cell: tasks by lm-evaluation-harness, and perplexity."""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from leap_suite.artifacts.files import read_json, sha256, write_json
from leap_suite.artifacts.items import write_items
from leap_suite.artifacts.masks import mask_hash
from leap_suite.artifacts.recorded import check
from leap_suite.artifacts.tensors import load_masks
from leap_suite.jobs.precision import compute_dtype
from leap_suite.jobs.provenance import Meter, choose_device, compute_setting, environment
from leap_suite.plan.cell import Cell
from leap_suite.sources.hub import mirror
from leap_suite.stages import corpora, models
from leap_suite.stages.perplexity import perplexity, perplexity_and_divergence
from leap_suite.stages.scores import run_tasks

# by the text's corpus
DIVERGENCES = {"perplexity": "divergence", "in_domain": "in_domain_divergence"}


def evaluate(
    model_directory: Path,
    hardened: Path | None,
    perplexity_corpus: Path,
    in_domain_corpus: Path | None,
    cell: Cell,
    run: str,
    recipe: Mapping[str, Any],
    miniature_data: Path | None,
    output: Path,
    items_output: Path,
) -> None:
    """Evaluate the hardened checkpoint, or the dense model where it is None.

    Writes scores as JSON, and those of items as CSV (`leap_suite.artifacts.items`).
    `in_domain_corpus` gives a second perplexity, and the setting `divergence` that from the dense
    model, which is in memory beside the checkpoint then. Raises ValueError where the checkpoint
    differs from its manifest.
    """
    meter = Meter()
    settings = recipe["evaluation"]
    device = choose_device()
    described = models.describe(model_directory, recipe["model"])
    dtype, bos = compute_dtype(described["dtype"], device), described["bos"]
    checkpoint = hardened or models.intact_checkpoint(model_directory)
    model = models.load_model(checkpoint, dtype, device)
    manifest = _verified_manifest(hardened, model, cell, recipe) if hardened else {}
    tokenizer = models.load_tokenizer(model_directory)
    tasks, items, versions = run_tasks(model, tokenizer, bos, settings, miniature_data)
    qualities: dict[str, Any] = {}
    recorded: dict[str, Any] = {}
    dense = None
    if hardened and settings.get("divergence"):
        dense = models.load_model(models.intact_checkpoint(model_directory), dtype, device)
    for name, corpus in (("perplexity", perplexity_corpus), ("in_domain", in_domain_corpus)):
        if corpus:
            windows_ST, recorded[f"{name}_corpus"] = corpora.read(corpus, recipe[name])
            asked = windows_ST, settings["batch_tokens"]
            if dense:
                found = perplexity_and_divergence(model, dense, *asked)
                qualities[name], qualities[DIVERGENCES[name]] = found
            else:
                qualities[name] = perplexity(model, *asked)
    result = {
        "run": run,
        **asdict(cell),
        "achieved_sparsity": manifest.get("achieved_sparsity", 0.0),
        **qualities,
        "tasks": tasks,
        "provenance": {
            **versions,
            "recipe": dict(recipe),
            "bos": bos,
            "hub_mirror": mirror() is not None,
            **recorded,
            "mask_sha256": manifest.get("mask_sha256", ""),
            "weights_sha256": manifest.get("weights_sha256", ""),
            "dense_weights_sha256": described["weights_sha256"],
            **compute_setting(dtype, device, model),
            "cost": meter.read(),
            **environment(),
        },
    }
    write_items(items, items_output)
    write_json(output, result)


def _verified_manifest(
    hardened: Path, model: Any, cell: Cell, recipe: Mapping[str, Any]
) -> dict[str, Any]:
    """Manifest of the checkpoint, compared with the loaded model."""
    from leap.model.layers import prunable_linears

    manifest = read_json(hardened / "manifest.json")
    check(hardened / "manifest.json", manifest["recipe"], recipe["checkpoint"])
    masks = load_masks(hardened / "mask.safetensors")
    intact = (
        sha256(hardened / "model.safetensors") == manifest["weights_sha256"]
        and mask_hash(masks) == manifest["mask_sha256"]
        and manifest["target_sparsity"] == cell.target
    )
    zeros = sum(int((m.weight == 0).sum()) for m in prunable_linears(model).values())
    if not intact or zeros != manifest["zeros"]:
        raise ValueError(
            f"{hardened} is not what its manifest.json describes: delete the folder and run again"
        )
    return manifest
