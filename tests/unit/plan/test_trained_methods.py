"""From a method's settings to what the trainer takes."""

import pytest

from leap.parameterisations import Patterns, Tiles, Weights
from suite.plan.config import load
from suite.trained_methods import parameterisation, trainer_settings

METHODS = load({"scale": "laptop", "hub_mirror": ""})["methods"]


def test_every_learned_method_has_its_parameterisation():
    assert parameterisation("leap", METHODS["leap"]) == Weights()
    assert parameterisation("maskllm", METHODS["maskllm"]) == Patterns(2, 4)
    assert parameterisation("patch", METHODS["patch"]) == Tiles(128, 2, 4, joint=True)
    fixed = {**METHODS["patch"], "mode": "tile", "pattern": "1:4", "tile": 64}
    assert parameterisation("patch", fixed) == Tiles(64, 1, 4, joint=False)
    with pytest.raises(ValueError, match=r"mine is a trained method without a parameterisation"):
        parameterisation("mine", METHODS["maskllm"])


def test_maskllm_trains_with_its_published_settings():
    settings = trainer_settings(METHODS["maskllm"], 0.5, 3)
    assert (settings.alpha, settings.weight_decay) == ((100, 500), 0.1)
    assert (settings.density_strength, settings.noise) == (0, "gumbel")
    assert (settings.sparsity, settings.seed) == (0.5, 3)
    assert (settings.init_std, settings.prior_strength) == (0.014, 3)


def test_all_learned_methods_of_a_scale_train_equally_long():
    for scale in ("mini", "laptop"):
        methods = load({"scale": scale, "hub_mirror": ""})["methods"]
        effort = {
            tuple(methods[name][key] for key in ("steps", "batch", "micro_batch"))
            for name in ("leap", "maskllm", "patch")
        }
        assert len(effort) == 1
