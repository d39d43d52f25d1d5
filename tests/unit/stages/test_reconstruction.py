"""A reconstruction from the files of another method to the final checkpoint."""

import pytest
import torch
from safetensors.torch import load_file

from leap.model.layers import prunable_linears
from suite.artifacts.files import read_json
from suite.artifacts.tensors import load_masks
from suite.plan.cell import Cell
from suite.stages import harden as harden_stage
from suite.stages import models
from suite.stages import prune as pruning
from tests.unit.recipes import MODEL, recipes

# short, as this is of files
KNOWN = recipes(methods={"reconstruct": {"epochs": 2, "batch": 4}})


def files_in(folder):
    return {key: str(folder / key) for key in ("weights", "mask", "report")}


@pytest.fixture(scope="module")
def of_admm(place, tmp_path_factory):
    """What ADMM leaves."""
    files = files_in(tmp_path_factory.mktemp("admm"))
    cell = Cell(MODEL, "admm", "0.5")
    pruning.prune(
        place / "model", place / "calibration.safetensors", cell, KNOWN.masks(cell), files
    )
    return files


def reconstruct(place, folder, cell, taken):
    files = files_in(folder)
    calibration = place / "calibration.safetensors"
    pruning.prune(place / "model", calibration, cell, KNOWN.masks(cell), files, taken)
    return files


def test_masks_stay_and_tuning_starts_from_the_weights_that_came_with_them(
    place, of_admm, tmp_path
):
    cell = Cell(MODEL, "admm-reconstruct", "0.5")
    with_weights = {"mask_from": of_admm["mask"], "weights_from": of_admm["weights"]}
    files = reconstruct(place, tmp_path, cell, with_weights)
    alone = reconstruct(place, tmp_path / "dense", cell, {"mask_from": of_admm["mask"]})
    reports = [read_json(found["report"]) for found in (files, alone)]
    first, of_dense = (report["events"][0] for report in reports)
    assert first["error_before"] < of_dense["error_before"]  # ADMM has lowered it already
    assert of_dense["error_after"] < of_dense["error_before"]
    given = KNOWN.settings["methods"]["admm-reconstruct"]
    assert reports[0]["settings"] == given
    assert (given["mask_from"], given["epochs"]) == ("admm", 2)
    masks, kept = load_masks(files["mask"]), load_masks(of_admm["mask"])
    assert list(masks) == list(kept)
    assert all(torch.equal(masks[name], kept[name]) for name in masks)
    assert set(load_file(files["weights"])) == {f"{name}.weight" for name in masks}

    target = tmp_path / "hardened"
    harden_stage.harden(place / "model", files, cell, "test", KNOWN.checkpoint(cell), target)
    manifest = read_json(target / "manifest.json")
    assert manifest["achieved_sparsity"] == pytest.approx(0.5, abs=1e-4)
    assert manifest["kept_weights_changed"]
    assert manifest["pruning"]["events"] == reports[0]["events"]
    linears = prunable_linears(models.load_model(target, "auto", "cpu"))
    for key, weight in load_file(files["weights"]).items():
        assert torch.equal(linears[key.removesuffix(".weight")].weight, weight)
