"""From a method's settings to what the trainer takes."""

import pytest

from leap.methods import parameterisation
from leap.methods.leap import Leap
from leap.methods.maskllm import MaskLLM
from leap.methods.patch import Patch
from suite.plan.config import load

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
