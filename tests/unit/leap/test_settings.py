"""LEAP's settings: what is refused and by which name, and the paper's values."""

import dataclasses
import subprocess
import sys

import pytest

from leap.settings import PRESETS, Settings

NAN = float("nan")


def test_the_defaults_are_those_of_the_official_code_with_exact_selection():
    assert dataclasses.asdict(Settings(sparsity=0.6)) == {
        "sparsity": 0.6, "steps": 2000, "batch": 256, "sequences_per_draw": 1,
        "learning_rate": 1e-3, "warmup_steps": 5, "weight_decay": 0.0, "max_grad_norm": 0.0,
        "alpha": (25.0, 350.0),
        "tau": (4.0, 0.05), "pattern_alpha": None,
        "noise": "logistic", "hard": False, "density_strength": 7.0, "density_scope": "global",
        "magnitude": "norm_ratio", "magnitude_strength": 10.0, "init_std": 0.014,
        "prior_strength": 3.0, "selection": "exact", "logits_dtype": "float32", "seed": 0,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("preset", "changed"),
    [
        ("default", {}),
        ("paper", {"noise": "gumbel", "magnitude": "l1"}),
        (
            "official-code",
            {"selection": "threshold", "max_grad_norm": 1.0, "logits_dtype": "model"},
        ),
    ],
)
def test_presets_change_what_paper_and_code_disagree_about(preset, changed):
    settings = Settings(sparsity=0.5, **PRESETS[preset])
    assert settings == dataclasses.replace(Settings(sparsity=0.5), **changed)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("sparsity", 0.0), ("sparsity", 1.0), ("sparsity", -0.5), ("sparsity", 60),
        ("sparsity", NAN), ("steps", 0), ("steps", -3), ("sequences_per_draw", 0), ("batch", 0),
        ("batch", -4), ("learning_rate", 0.0), ("learning_rate", -1e-3), ("learning_rate", NAN),
        ("warmup_steps", -1), ("alpha", (0.0, 350.0)), ("alpha", (25.0,)),
        ("alpha", (25.0, 100.0, 350.0)), ("alpha", (25.0, NAN)), ("alpha", (NAN, 25.0)),
        ("tau", (4.0, 0.0)), ("tau", (-4.0, 0.05)), ("tau", ()), ("tau", (4.0, NAN)),
        ("noise", "uniform"), ("noise", "Gumbel"), ("density_strength", -1.0),
        ("density_strength", NAN), ("density_scope", "layer"), ("magnitude", "l2"),
        ("magnitude_strength", -0.1), ("magnitude_strength", NAN), ("init_std", 0.0),
        ("init_std", -0.014), ("init_std", NAN), ("prior_strength", -3.0),
        ("prior_strength", NAN), ("selection", "topk"), ("logits_dtype", "bfloat16"),
        ("max_grad_norm", -1.0),
        ("max_grad_norm", NAN), ("pattern_alpha", (0.0, 1.0)), ("pattern_alpha", (5.0,)),
    ],
)  # fmt: skip
def test_an_unusable_value_is_refused_by_its_name(name, value):
    with pytest.raises(ValueError, match=rf"^{name} is .*, but must be ") as raised:
        Settings(**{"sparsity": 0.5, name: value})
    shown = tuple(value) if isinstance(value, list) else value
    assert repr(shown) in str(raised.value)


def test_a_batch_that_draws_do_not_divide_is_refused():
    with pytest.raises(
        ValueError, match=r"^batch is 10, .* a multiple of sequences_per_draw \(4\)"
    ):
        Settings(sparsity=0.5, batch=10, sequences_per_draw=4)
    assert Settings(sparsity=0.5, batch=12, sequences_per_draw=4).batch == 12


@pytest.mark.parametrize(
    "choice",
    [
        {"noise": "gumbel"}, {"density_scope": "per_block"}, {"density_scope": "per_block_sum"},
        {"magnitude": "none"}, {"magnitude": "norm_sum"}, {"max_grad_norm": 1.0},
        {"magnitude": "l1"}, {"selection": "threshold"}, {"density_strength": 0.0},
        {"magnitude_strength": 0.0}, {"prior_strength": 0.0}, {"warmup_steps": 0},
        {"steps": 1}, {"alpha": (7, 7)},
    ],
)  # fmt: skip
def test_every_documented_choice_is_accepted(choice):
    settings = Settings(sparsity=0.5, **choice)
    assert {name: getattr(settings, name) for name in choice} == choice


def test_lists_as_yaml_gives_them_equal_tuples():
    settings = Settings(sparsity=0.5, alpha=[25.0, 350.0], tau=[4.0, 0.05])
    assert settings == Settings(sparsity=0.5)
    assert hash(settings) == hash(Settings(sparsity=0.5))


def test_settings_cannot_be_changed_behind_the_checks():
    with pytest.raises(dataclasses.FrozenInstanceError):
        Settings(sparsity=0.5).steps = 0


def test_reading_settings_does_not_import_torch():
    code = "import sys, leap; leap.Settings(sparsity=0.5); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_an_unknown_name_of_the_package_is_an_attribute_error():
    import leap

    with pytest.raises(AttributeError, match="no attribute 'learn_mask'"):
        leap.learn_mask  # noqa: B018
