"""A cell's training: its report, its outputs, and the way that fits into GPU memory."""

import os
import signal
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from leap.execution import Execution
from leap_suite.artifacts.files import read_json, sha256
from leap_suite.artifacts.tensors import load_masks
from leap_suite.plan.cell import Cell
from leap_suite.stages import models
from leap_suite.stages.binarise import binarise
from leap_suite.stages.train import Training, train_masks, train_weights
from leap_suite.tracking.journal import read_journal
from tests.unit.recipes import MODEL, recipes
from tests.unit.stages.made import harden, prune

MASKS = {"like": "maskllm", "warm_start": "random", "sequences_per_draw": 4}
WEIGHTS = {"like": "elsa", "interval": 2}
KEPT = {"like": "finetune", "mask_from": "admm", "distil": 0.5}
NAMES = {"mask": "mask.safetensors", "journal": "journal.jsonl"}
OF_MASKS = {**NAMES, "logits": "logits.safetensors", "report": "training.json",
            "choice": "choice.json"}  # fmt: skip
OF_WEIGHTS = {**NAMES, "weights": "weights.safetensors", "report": "pruning.json"}


def known(method, **settings):
    """Recipes with this method, whose training text is the calibration text of the fixture."""
    calibration = recipes().settings["corpora"]["calibration"]
    training = {key: calibration[key] for key in ("sequences", "length")}
    values = {"steps": 3, "batch": 4, **settings}
    return recipes(methods={method: values}, corpora={"training": training})


def training_of(place, folder, method, settings, ways=None):
    """A training of a method that writes into this folder."""
    folder.mkdir(exist_ok=True)
    cell = Cell(MODEL, method, "0.5")
    names = OF_WEIGHTS if settings.get("like") in ("elsa", "finetune", "gmp") else OF_MASKS
    outputs = {key: str(folder / name) for key, name in names.items()}
    return Training(
        place / "model", place / "calibration.safetensors", cell, "test",
        known(method, **settings).masks(cell), folder / "state", ways or [Execution(4)],
        outputs,
    )  # fmt: skip


def learn(training, taken=None):
    """Train, and return what is learned and the report."""
    (train_masks if "logits" in training.outputs else train_weights)(training, taken or {})
    learned = training.outputs.get("logits") or training.outputs["weights"]
    return load_file(learned), read_json(training.outputs["report"])


@pytest.fixture
def gpu(monkeypatch):
    """A GPU whose memory takes micro-batches of two; `forward` is called in each forward pass."""
    found = type("Gpu", (), {"seen": [], "forward": staticmethod(lambda: None)})()
    load_model = models.load_model

    def loaded(*arguments):
        model = load_model(*arguments)

        def forward(module, inputs, keywords):
            if not torch.is_grad_enabled():  # a probe of the model's output layer
                return
            size = len(keywords["input_ids"] if "input_ids" in keywords else inputs[0])
            found.seen.append(size)
            if size > 2:
                raise torch.OutOfMemoryError("CUDA out of memory.")
            found.forward()

        model.get_decoder().register_forward_pre_hook(forward, with_kwargs=True)
        return model

    monkeypatch.setattr(models, "load_model", loaded)
    return found


def same(first, second):
    return first.keys() == second.keys() and all(first[n].equal(second[n]) for n in first)


@pytest.mark.parametrize("settings", [MASKS, WEIGHTS], ids=["masks", "weights"])
def test_a_training_steps_down_to_the_way_that_fits(place, tmp_path, gpu, settings):
    fits = Execution(2, checkpointing=True)
    directly, _ = learn(training_of(place, tmp_path / "a", "mine", settings, [fits]))
    ways = [Execution(4), Execution(4, checkpointing=True), fits, Execution(1)]
    del gpu.seen[:]
    found, report = learn(training_of(place, tmp_path / "b", "mine", settings, ways))
    assert gpu.seen[:3] == [4, 4, 2] and 1 not in gpu.seen
    assert same(found, directly)
    assert report["implementation"] == settings["like"] and "method" not in report
    assert set(report["training"]) == {"sequences", "length", "sha256"}
    assert report["recipe"] == known("mine", **settings).masks(Cell(MODEL, "mine", "0.5"))
    assert report["execution"] == {
        "micro_batch": 2, "recompute": False, "checkpointing": True, "sharding": False,
        "out_of_memory": 2,
    }  # fmt: skip
    _, curve = read_journal(tmp_path / "b/journal.jsonl")
    assert [point.step for point in curve if point.name == "lm_loss"] == [0, 1, 2]


@pytest.mark.parametrize("settings", [MASKS, WEIGHTS], ids=["masks", "weights"])
def test_a_resumed_training_steps_down_too(place, tmp_path, gpu, settings):
    fits = [Execution(2)]
    undisturbed, _ = learn(training_of(place, tmp_path / "a", "mine", settings, fits))
    del gpu.seen[:]
    gpu.forward = lambda: os.kill(os.getpid(), signal.SIGTERM) if len(gpu.seen) == 3 else None
    training = training_of(place, tmp_path / "b", "mine", settings, fits)
    with pytest.raises(SystemExit):
        learn(training)
    assert [file.name for file in training.state.iterdir()] == ["step-00000001.whole.safetensors"]
    del gpu.seen[:]
    gpu.forward = lambda: None
    found, _ = learn(replace(training, executions=[Execution(4), *fits]))
    assert gpu.seen == [4, *[2] * 4]  # the last two of three steps
    assert same(found, undisturbed)
    assert not training.state.exists()


def test_what_fits_in_no_way_is_refused(place, tmp_path, gpu):
    training = training_of(place, tmp_path, "mine", MASKS)
    with pytest.raises(ValueError, match=r'not fit into GPU memory.*"micro_batch": 4.*more GPUs'):
        learn(training)
    assert not Path(training.outputs["report"]).exists()


@pytest.mark.parametrize(
    ("settings", "name", "value"),
    [(WEIGHTS, "penalty", 0.01), ({"like": "gmp", "ramp": 0.4}, "ramp", 0.4)],
    ids=["elsa", "gmp"],
)
def test_learned_weights_are_written_as_a_layer_wise_method_writes_its_own(
    place, tmp_path, settings, name, value
):
    training = training_of(place, tmp_path, "mine", settings)
    _, report = learn(training)
    assert (report["implementation"], report["settings"][name]) == (settings["like"], value)
    assert report["recipe"] == training.recipe
    assert report["cost"]["training_seconds"] > 0
    pruned = {key: training.outputs[key] for key in ("weights", "mask", "report")}
    asked = known("mine", **settings)
    _, manifest = harden(place, training.cell, pruned, tmp_path / "hardened", asked)
    assert manifest["kept_weights_changed"] is True
    assert manifest["selection"] == {"rule": "exact", "tolerance": 0}
    assert manifest["survivors"] == round(0.5 * manifest["weights"])
    assert manifest["pruning"]["training"]["sequences"] == 8


def test_the_manifest_names_the_calibration_text_behind_the_warm_start(place, tmp_path):
    settings = {"steps": 1, "sequences_per_draw": 4}
    asked, start = known("leap", **settings), Cell(MODEL, "wanda", "0.5")
    pruned = prune(place, start, tmp_path / "wanda", asked)
    training = training_of(place, tmp_path, "leap", settings)
    outputs, cell = training.outputs, training.cell
    train_masks(training, {"warm_start": Path(pruned["mask"])})
    files = Path(outputs["logits"]), Path(outputs["report"])
    binarise(*files, None, "leap", asked.selection(cell), outputs)
    _, manifest = harden(place, cell, outputs, tmp_path / "hardened", asked)
    found = manifest["pruning"]["prior_calibration"]
    assert found["sha256"] == sha256(place / "calibration.safetensors")
    assert (found["sequences"], found["length"]) == (8, 24)


def test_kept_weights_are_trained_under_the_mask_of_another_method_from_its_weights(
    place, tmp_path
):
    of_admm = prune(place, Cell(MODEL, "admm", "0.5"), tmp_path / "admm", known("mine", **KEPT))
    taken = {"mask_from": Path(of_admm["mask"]), "weights_from": Path(of_admm["weights"])}
    settings = {**KEPT, "learning_rate": 1e-9}
    training = training_of(place, tmp_path / "a", "mine", settings)
    found, report = learn(training, taken)
    masks, start = load_masks(of_admm["mask"]), load_file(of_admm["weights"])
    assert load_masks(training.outputs["mask"]).keys() == masks.keys()
    for name, mask in masks.items():
        assert load_masks(training.outputs["mask"])[name].equal(mask)
        torch.testing.assert_close(found[f"{name}.weight"], start[f"{name}.weight"] * mask)
    assert (report["implementation"], report["settings"]["distil"]) == ("finetune", 0.5)
    _, curve = read_journal(Path(training.outputs["journal"]))
    assert {"loss", "lm_loss", "divergence"} <= {point.name for point in curve}
    dense, _ = learn(
        training_of(place, tmp_path / "b", "mine", settings), {"mask_from": taken["mask_from"]}
    )
    assert not same(dense, found)


def test_parameters_beside_the_prunable_weights_are_shipped_and_counted(place, tmp_path):
    settings = {**WEIGHTS, "trained": "all"}
    training = training_of(place, tmp_path, "mine", settings)
    found, _ = learn(training)
    pruned = {key: training.outputs[key] for key in ("weights", "mask", "report")}
    _, manifest = harden(place, training.cell, pruned, tmp_path / "to", known("mine", **settings))
    checkpoint = load_file(tmp_path / "to/model.safetensors")
    others = {
        name for name in found if name.removesuffix(".weight") not in manifest["layer_sparsity"]
    }
    assert {"model.embed_tokens.weight", "model.norm.weight"} <= others
    assert manifest["changed_parameters"] == sum(found[name].numel() for name in others)
    assert all(checkpoint[name].equal(found[name]) for name in others & checkpoint.keys())
    assert not checkpoint["model.norm.weight"].equal(
        load_file(place / "model/model.safetensors")["model.norm.weight"]
    )
