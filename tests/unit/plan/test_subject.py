"""Whom a method is judged against."""

import pytest

from suite.plan import config
from suite.plan.methods import TakenMasks, is_control, masks_taken, method_schema
from suite.plan.subject import judged

BASE = {"scale": "mini", "hub_mirror": ""}


def opponents(overrides: dict) -> tuple[list[str], list[str]]:
    """Those of the subject's kind, and all others."""
    found = judged(config.load({**BASE, **overrides}))
    return found["kindred"], [name for name in found["opponents"] if name not in found["kindred"]]


def test_whoever_takes_densities_from_the_subject_is_no_opponent():
    lent = {"like": "wanda", "allocation": {"from": "leap"}}
    methods = {"lent": lent, "spread": {"like": "admm", "allocation": "owl"}}
    changes = {"grid": {"methods": ["wanda", "lent", "spread", "leap"]}, "methods": methods}
    assert opponents(changes) == (["wanda", "spread"], [])
    settings = config.load({**BASE, **changes})
    assert masks_taken("wanda", settings["methods"]["lent"]) == {
        "allocation": TakenMasks("leap", None)
    }
    assert masks_taken("admm", settings["methods"]["spread"]) == {}


def test_a_reconstruction_is_an_opponent_unless_it_keeps_the_subjects_mask():
    names = ["reconstruct", "admm-reconstruct", "leap-reconstruct", "leap"]
    changes = {"grid": {"methods": names}}
    assert opponents(changes) == ([], ["reconstruct", "admm-reconstruct"])
    assert masks_taken("reconstruct", method_settings("reconstruct")) == {
        "mask_from": TakenMasks("wanda", "")
    }
    assert "allocation" not in method_schema("reconstruct")["properties"]


def method_settings(name: str) -> dict:
    return config.load(BASE)["methods"][name]


def test_what_only_starts_from_the_subjects_masks_is_an_opponent():
    """LEAP begins with Wanda's masks and ends with its own; a reconstruction keeps them."""
    names = ["wanda", "sparsegpt", "reconstruct", "admm-reconstruct", "leap", "elsa"]
    assert opponents({"subject": "wanda", "grid": {"methods": names}}) == (
        ["sparsegpt"], ["admm-reconstruct", "leap", "elsa"],
    )  # fmt: skip


def test_the_kind_of_a_method_that_retrains_is_that_of_those_that_do():
    names = ["wanda", "admm", "reconstruct", "elsa", "leap"]
    changes = {"subject": "elsa", "grid": {"methods": names}}
    assert opponents(changes) == (["reconstruct"], ["wanda", "admm", "leap"])
    assert judged(config.load({**BASE, **changes}))["kind"] == "retraining"


def test_controls_are_no_opponents_also_under_another_name():
    names = ["random-mask", "wanda", "admm", "my-control", "random-mask-2-4", "alps", "leap"]
    methods = {
        "my-control": {"like": "random-mask", "budget": "row"},
        "random-mask-2-4": {"like": "random-mask", "budget": "2:4"},
    }
    changes = {"methods": methods, "grid": {"methods": names}}
    assert opponents(changes) == (["wanda", "admm", "alps"], [])
    behind = config.load({**BASE, **changes})["implementations"]
    controls = ["random-mask", "my-control", "random-mask-2-4"]
    assert [name for name in names if is_control(behind[name])] == controls


@pytest.mark.parametrize("scale", ["mini", "claim", "workstation", "paper"])
def test_the_default_grids_have_admm_twice_alps_and_a_control(scale):
    settings = config.load({"scale": scale, "hub_mirror": ""})
    found = judged(settings)
    assert {"admm", "admm-cubic", "alps"} <= set(found["kindred"]) and found["against"] == ["admm"]
    after = {"leap-reconstruct"} if scale == "claim" else set()
    others = {*settings["grid"]["methods"]} - {*found["opponents"]}
    assert others == {"random-mask", "leap", *after}
    schedules = [settings["methods"][name]["schedule"] for name in ("admm", "admm-cubic")]
    assert schedules == ["constant", "cubic"]


@pytest.mark.parametrize("name", ["alps", "random-mask", "admm-cubic"])
def test_smoke_has_settings_of_what_its_grid_has_not(name):
    smoke = {**BASE, "scale": "smoke"}
    assert name not in config.load(smoke)["grid"]["methods"]
    kindred = judged(config.load({**smoke, "grid": {"methods": ["wanda", name, "leap"]}}))[
        "kindred"
    ]
    assert kindred == (["wanda"] if name == "random-mask" else ["wanda", name])
