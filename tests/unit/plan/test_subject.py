"""Opponents of the method that verdicts are about."""

import pytest

from leap_suite.plan.methods import is_control
from leap_suite.plan.subject import judged
from tests.unit.recipes import loaded


@pytest.mark.parametrize(
    ("subject", "methods", "kindred", "others"),
    [
        # densities of the subject
        ("leap", "wanda lent spread leap", "wanda spread", ""),
        # masks of the subject that are kept, or that a training only starts from
        ("leap", "reconstruct admm-reconstruct leap-reconstruct leap", "",
         "reconstruct admm-reconstruct"),
        ("wanda", "wanda sparsegpt reconstruct admm-reconstruct leap elsa", "sparsegpt",
         "admm-reconstruct leap elsa"),
        # methods that retrain
        ("elsa", "wanda admm reconstruct elsa leap", "reconstruct", "wanda admm leap"),
        # controls, also under another name
        ("leap", "random-mask wanda admm my-control random-mask-2-4 alps leap", "wanda admm alps",
         ""),
    ],
)  # fmt: skip
def test_opponents_and_those_of_the_subjects_kind(subject, methods, kindred, others):
    own = {
        "lent": {"like": "wanda", "allocation": {"from": "leap"}},
        "spread": {"like": "admm", "allocation": "owl"},
        "my-control": {"like": "random-mask", "budget": "row"},
        "random-mask-2-4": {"like": "random-mask", "budget": "2:4"},
    }
    settings = loaded(subject=subject, methods=own, grid={"methods": methods.split()})
    found = judged(settings)
    assert found["kind"] == ("retraining" if subject == "elsa" else "layer-wise")
    assert found["kindred"] == kindred.split()
    assert [n for n in found["opponents"] if n not in found["kindred"]] == others.split()
    controls = {name for name, kind in settings["implementations"].items() if is_control(kind)}
    rounding = {"rounding", "rounding-8", "rounding-4"}
    assert controls == {"random-mask", "my-control", "random-mask-2-4", *rounding}
