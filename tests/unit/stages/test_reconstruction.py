"""A reconstruction from the files of another method to the final checkpoint."""

import pytest
import torch
from safetensors.torch import load_file

from leap_suite.artifacts.files import read_json
from leap_suite.artifacts.tensors import load_masks
from leap_suite.plan.cell import Cell
from tests.unit.recipes import MODEL, recipes
from tests.unit.stages.made import harden, prune

# short, as this is of files
KNOWN = recipes(methods={"reconstruct": {"epochs": 2, "batch": 4}})


@pytest.fixture(scope="module")
def of_admm(place, tmp_path_factory):
    """What ADMM leaves."""
    return prune(place, Cell(MODEL, "admm", "0.5"), tmp_path_factory.mktemp("admm"), KNOWN)


def test_masks_stay_and_tuning_starts_from_the_weights_that_came_with_them(
    place, of_admm, tmp_path
):
    cell = Cell(MODEL, "admm-reconstruct", "0.5")
    with_weights = {"mask_from": of_admm["mask"], "weights_from": of_admm["weights"]}
    files = prune(place, cell, tmp_path, KNOWN, with_weights)
    alone = prune(place, cell, tmp_path / "dense", KNOWN, {"mask_from": of_admm["mask"]})
    reports = [read_json(found["report"]) for found in (files, alone)]
    first, of_dense = (report["events"][0] for report in reports)
    assert first["error_before"] < of_dense["error_before"]  # ADMM has lowered it already
    assert of_dense["error_after"] < of_dense["error_before"]
    given = KNOWN.settings["methods"]["admm-reconstruct"]
    assert reports[0]["settings"].items() >= given.items()
    assert (given["mask_from"], given["epochs"]) == ("admm", 2)
    masks, kept = load_masks(files["mask"]), load_masks(of_admm["mask"])
    assert list(masks) == list(kept)
    assert all(torch.equal(masks[name], kept[name]) for name in masks)
    assert set(load_file(files["weights"])) == {f"{name}.weight" for name in masks}

    weights, manifest = harden(place, cell, files, tmp_path / "hardened", KNOWN)
    assert manifest["achieved_sparsity"] == pytest.approx(0.5, abs=1e-4)
    assert manifest["kept_weights_changed"]
    assert manifest["pruning"]["events"] == reports[0]["events"]
    for key, weight in load_file(files["weights"]).items():
        assert torch.equal(weights[key.removesuffix(".weight")], weight)


def test_norms_that_are_trained_are_in_the_checkpoint(place, of_admm, tmp_path):
    public = {"trained_on": "dense", "norms": True, "warmup": 0.1, "batch": 2, "epochs": 1}
    known = recipes(methods={"reconstruct": public})
    cell = Cell(MODEL, "admm-reconstruct", "0.5")
    files = prune(place, cell, tmp_path, known, {"mask_from": of_admm["mask"]})
    changed = load_file(files["weights"])
    norms = {name for name in changed if "layernorm" in name}
    # Gemma's norms before attention and MLP, of which an undone part has none
    assert norms and all(
        name.endswith(("input_layernorm.weight", "pre_feedforward_layernorm.weight"))
        for name in norms
    )
    _, manifest = harden(place, cell, files, tmp_path / "hardened", known)
    saved = load_file(tmp_path / "hardened/model.safetensors")
    assert all(torch.equal(saved[name], changed[name]) for name in norms)
    assert manifest["changed_parameters"] == sum(changed[name].numel() for name in norms)
