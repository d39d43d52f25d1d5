"""From a method's settings to what the trainer takes."""

import pytest

from leap.methods import elsa, parameterisation
from leap.methods.leap import Leap
from leap.methods.maskllm import MaskLLM
from leap.methods.patch import Patch
from leap.settings import Settings, make_settings
from suite.plan.config import load
from suite.plan.methods import known_methods, method_schema

METHODS = load({"scale": "laptop", "hub_mirror": ""})["methods"]


def what(method, values):
    return parameterisation.load(method).from_settings(values)


def test_every_learned_method_has_its_parameterisation():
    assert what("leap", METHODS["leap"]) == Leap()
    assert what("maskllm", METHODS["maskllm"]) == MaskLLM(2, 4)
    assert what("patch", METHODS["patch"]) == Patch(128, 2, 4, joint=True)
    fixed = {**METHODS["patch"], "mode": "tile", "pattern": "1:4", "tile": 64}
    assert what("patch", fixed) == Patch(64, 1, 4, joint=False)
    with pytest.raises(ValueError, match=r"unknown learned method 'mine'"):
        what("mine", METHODS["maskllm"])


def test_every_learned_method_has_its_selection():
    trained = [name for name in known_methods() if method_schema(name).get("trained")]
    learned = [name for name in trained if not method_schema(name)["changes_weights"]]
    assert {"leap", "maskllm", "patch"} <= set(learned)
    assert set(trained) - set(learned) == {"elsa"}
    for name in learned:
        assert callable(parameterisation.load(name).from_settings)
        assert callable(parameterisation.load(name).masks)
        if name in METHODS:
            assert what(name, METHODS[name]).method == name


def test_maskllm_trains_with_its_published_settings():
    settings = make_settings(Settings, METHODS["maskllm"], 0.5, 3)
    assert (settings.alpha, settings.weight_decay) == ((100, 500), 0.1)
    assert (settings.density_strength, settings.noise) == (0, "gumbel")
    assert (settings.sparsity, settings.seed) == (0.5, 3)
    assert (settings.init_std, settings.prior_strength) == (0.014, 3)


def test_elsas_settings_are_its_own_and_say_what_the_paper_says():
    values = load({"scale": "paper", "hub_mirror": ""})["methods"]["elsa"]
    settings = make_settings(elsa.Settings, values, 0.6, 3)
    assert (settings.sparsity, settings.seed) == (0.6, 3)
    assert (settings.learning_rate, settings.penalty, settings.interval) == (2e-4, 0.01, 32)


def test_all_learned_methods_of_a_scale_train_equally_long():
    for scale in ("smoke", "mini", "laptop", "claim", "workstation", "paper"):
        methods = load({"scale": scale, "hub_mirror": ""})["methods"]
        for key in ("steps", "batch"):
            assert methods["elsa"][key] == methods["leap"][key]
        if scale == "smoke":
            continue
        effort = {
            tuple(methods[name][key] for key in ("steps", "batch", "sequences_per_draw"))
            for name in ("leap", "maskllm", "patch")
        }
        assert len(effort) == 1
