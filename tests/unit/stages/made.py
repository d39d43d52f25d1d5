"""Pruned and hardened cells of the fixture `place`."""

from leap.model.layers import prunable_linears
from leap_suite.artifacts.files import read_json
from leap_suite.stages import harden as harden_stage
from leap_suite.stages import models
from leap_suite.stages import prune as pruning
from tests.unit.recipes import recipes


def dense(place):
    """Dense weights [O, I] by layer, in model order."""
    return _weights(place / "model")


def prune(place, cell, folder, known=None, taken=None, text=None):
    """Prune on the calibration text, or another; the files by kind."""
    names = {"weights": "weights.safetensors", "mask": "mask.safetensors", "report": "pruning.json"}
    files = {key: str(folder / name) for key, name in names.items()}
    text, recipe = text or place / "calibration.safetensors", (known or recipes()).masks(cell)
    pruning.prune(place / "model", text, cell, recipe, files, taken)
    return files


def harden(place, cell, files, target, known=None):
    """Weights by layer and manifest of the checkpoint."""
    recipe = (known or recipes()).checkpoint(cell)
    harden_stage.harden(place / "model", files, cell, "test", recipe, target)
    return _weights(target), read_json(target / "manifest.json")


def _weights(folder):
    model = models.load_model(folder, "float32", "cpu")
    return {name: layer.weight.detach() for name, layer in prunable_linears(model).items()}
