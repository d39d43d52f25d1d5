"""What is released gives the evaluated checkpoint again, or says why it cannot."""

import gzip
import shutil
import subprocess
from itertools import product
from pathlib import Path

import pytest
import torch
from huggingface_hub import ModelCard

from leap.model.layers import prunable_linears
from leap_suite.artifacts.files import read_json, write_json
from leap_suite.artifacts.tensors import save_tensors
from leap_suite.plan.cell import Cell
from leap_suite.plan.methods import method_schema
from leap_suite.report.release import MASK, apply_release, pack
from leap_suite.sparse.container import WEIGHTS, unpack_checkpoint
from leap_suite.stages import harden as harden_stage
from leap_suite.stages import models
from leap_suite.stages import prune as pruning
from leap_suite.stages.binarise import binarise
from tests.unit.made import collected, made, scored
from tests.unit.recipes import MODEL, recipes

METHODS = ("magnitude", "wanda", "leap", "sparsegpt", "thanos", "admm")


@pytest.fixture(scope="module")
def released(place, tmp_path_factory):
    """Every method hardened, and all of them in one release."""
    folder = tmp_path_factory.mktemp("release")
    (folder / "main.csv").write_text("model\n")
    tasks, evaluated, cells = {"piqa": scored(task="mini_piqa")}, {}, {}
    for method in METHODS:
        cell = Cell(MODEL, method, "0.6")
        other = "choice" if method == "leap" else "weights"
        files = {k: str(folder / "pruned" / method / k) for k in ("mask", "report", other)}
        if method == "leap":
            dense = prunable_linears(models.load_model(place / "model", "float32", "cpu"))
            (folder / "pruned/leap").mkdir()
            logits = folder / "pruned/leap/logits"
            save_tensors({n: torch.randn(m.weight.shape) for n, m in dense.items()}, logits)
            layers = {n: list(m.weight.shape) for n, m in dense.items()}
            settings = {"sparsity": 0.6, "seed": 0}
            report = {"layers": layers, "settings": settings, "recipe": recipes().masks(cell)}
            write_json(files["report"], report)
            rule = recipes().selection(cell)
            binarise(logits, Path(files["report"]), None, "leap", rule, files)
        else:
            calibration = place / "calibration.safetensors"
            pruning.prune(place / "model", calibration, cell, recipes().masks(cell), files)
        recipe, target = recipes().checkpoint(cell), folder / "hardened" / method
        harden_stage.harden(place / "model", files, cell, "test", recipe, target)
        cells[f"{MODEL}/{method}/0.6"] = target
        evaluated |= made(folder / "evaluated", MODEL, method, 0.6, tasks=tasks)
    pack(
        cells, collected(evaluated), [folder / "main.csv"], {MODEL: "apache-2.0"},
        {"piqa": "mini_piqa"}, folder / "release",
    )  # fmt: skip
    return folder


def weights(folder):
    """Of a checkpoint."""
    return models.load_model(folder, "float32", "cpu").state_dict()


@pytest.mark.parametrize("method", METHODS)
def test_a_release_gives_the_evaluated_weights_bit_for_bit(place, released, method, tmp_path):
    folder = released / f"release/mini-gemma-3-1b/{method}/0.6"
    model = models.load_model(place / "model", "float32", "cpu")
    changed = method_schema(method)["changes_weights"]
    assert read_json(folder / "manifest.json")["kept_weights_changed"] == changed
    if changed:
        with pytest.raises(ValueError, match=f"{method} changed the weights that it kept"):
            apply_release(model, folder)
        unpack_checkpoint(folder, tmp_path)
        found = weights(tmp_path)
    else:
        apply_release(model, folder)
        found = model.state_dict()
    evaluated = weights(released / "hardened" / method)
    assert found.keys() == evaluated.keys()
    for name, tensor in evaluated.items():
        assert torch.equal(tensor, found[name]), name


def in_another_type(place):
    return models.load_model(place / "model", "bfloat16", "cpu")


def with_one_flipped_bit(place):
    model = models.load_model(place / "model", "float32", "cpu")
    *_, last = prunable_linears(model).values()
    last.weight.data.view(torch.int32)[-1, -1] ^= 1
    return model


@pytest.mark.parametrize("other", [in_another_type, with_one_flipped_bit])
def test_a_dense_model_that_is_not_the_manifests_is_refused_and_left_alone(place, released, other):
    model = other(place)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    wanted = "load {'miniature': 'mini-gemma-3-1b'} in float32"
    with pytest.raises(ValueError, match=f"not those that the mask was made for: {wanted}"):
        apply_release(model, released / "release/mini-gemma-3-1b/wanda/0.6")
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, before[name]), name


def test_checksums_cards_and_sizes_are_those_of_the_files(released):
    release = released / "release"
    checked = subprocess.run(
        ["sha256sum", "-c", "--strict", "SHA256SUMS"], cwd=release, capture_output=True, text=True
    )
    assert checked.returncode == 0, checked.stdout
    listed = {line.split("  ")[1] for line in (release / "SHA256SUMS").read_text().splitlines()}
    found = {str(f.relative_to(release)) for f in release.rglob("*") if f.is_file()}
    assert listed == found - {"SHA256SUMS"}
    assert "tables/main.csv" in listed
    card = (release / "mini-gemma-3-1b/leap/0.6/README.md").read_text()
    mask = (release / "mini-gemma-3-1b/leap/0.6" / MASK).stat().st_size
    parameters = read_json(released / "hardened/leap/manifest.json")["parameters"]
    assert "license: apache-2.0" in card
    assert "model-index" not in card, "generated tasks are no data sets of the hub"
    summary = (release / "README.md").read_text()
    assert summary.startswith("# Pruned miniature models: masks, manifests, tables\n")
    assert "\n| Cell | Mask | Mask and kept weights | Dense, in bfloat16 |\n" in summary
    assert f"\n| mini-gemma-3-1b/leap/0.6 | {mask:,} | – | {2 * parameters:,} |" in summary
    packed = (release / "mini-gemma-3-1b/admm/0.6" / WEIGHTS).stat().st_size
    assert f" | {packed:,} | {2 * parameters:,} |" in summary
    assert f"Mask: {mask:,} bytes" in card


def test_a_card_has_the_scores_of_its_own_cell(released, tmp_path):
    shares = {"magnitude": 0.25, "wanda": 0.75}
    evaluated = {}
    for (method, share), seed in product(shares.items(), (0, 1)):
        tasks = {"piqa": scored(share + seed / 10)}
        evaluated |= made(tmp_path / "evaluated", MODEL, method, 0.6, seed, tasks=tasks)
    cells = {f"{MODEL}/{method}/0.6": released / "hardened" / method for method in shares}
    pack(cells, collected(evaluated), [], {}, {"piqa": "baber/piqa"}, tmp_path / "release")
    for method, share in shares.items():
        card = tmp_path / f"release/{MODEL}/{method}/0.6/README.md"
        (result,) = ModelCard.load(card).data.eval_results
        assert (result.dataset_type, result.metric_value) == ("baber/piqa", share)


def test_a_damaged_or_foreign_mask_is_refused(place, released, tmp_path):
    model = models.load_model(place / "model", "float32", "cpu")
    folder = tmp_path / "wanda"
    shutil.copytree(released / "release/mini-gemma-3-1b/wanda/0.6", folder)
    whole = (folder / MASK).read_bytes()
    content = gzip.decompress(whole)
    (folder / MASK).write_bytes(gzip.compress(content[:-1] + bytes([content[-1] ^ 1])))
    with pytest.raises(ValueError, match=r"wanda/mask\.safetensors\.gz is damaged"):
        apply_release(model, folder)
    shutil.copy(released / "release/mini-gemma-3-1b/magnitude/0.6" / MASK, folder / MASK)
    with pytest.raises(ValueError, match="is not the mask of its manifest"):
        apply_release(model, folder)
