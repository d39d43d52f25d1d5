"""Recipes: what is in them, and what is said of two that differ."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leap_suite.artifacts.recorded import check, differences
from leap_suite.plan.cell import Cell
from leap_suite.plan.config import load
from leap_suite.plan.recipe import Recipes, synthetic_note
from tests.unit.recipes import loaded

MODEL = "mini-llama-3.2-1b"
WANDA, LEAP, ADMM, ELSA, OF_ADMM, OF_LEAP = (
    Cell(MODEL, method, "0.5")
    for method in ("wanda", "leap", "admm", "elsa", "admm-reconstruct", "leap-reconstruct")
)


def recipes(**overrides) -> Recipes:
    return Recipes(load({"scale": "smoke", "hub_mirror": "", **overrides}))


def changed(cell: Cell, **overrides) -> list[str]:
    lines = differences(recipes().evaluation(cell), recipes(**overrides).evaluation(cell))
    return [line.split(" was ")[0] for line in lines]


LAYER = {"methods": {"wanda": {"budget": "layer"}}}
THRESHOLD = {"methods": {"leap": {"selection": "threshold"}}}
SHOWN = {"title": "Things", "averaged": False, "fewshot": 0, "metric": "acc"}
ASKED = {"fewshot": 2, "metric": "acc_norm", "filter": "none"}
MASKS = "checkpoint.masks"


@pytest.mark.parametrize(
    ("cell", "setting", "keys"),
    [
        (WANDA, LAYER, [f"{MASKS}.method.budget"]),
        (LEAP, LAYER, [f"{MASKS}.warm_start.method.budget"]),
        (ADMM, LAYER, []),
        (Cell.dense(MODEL), LAYER, []),
        (LEAP, THRESHOLD, ["checkpoint.selection.rule"]),
        (OF_LEAP, THRESHOLD, [f"{MASKS}.mask_from.selection.rule"]),
        (OF_ADMM, {"methods": {"reconstruct": {"epochs": 3}}}, [f"{MASKS}.method.epochs"]),
        (OF_ADMM, {"methods": {"admm": {"iterations": 30}}},
         [f"{MASKS}.mask_from.masks.method.iterations"]),
        (OF_LEAP, {"methods": {"admm": {"iterations": 30}}}, []),
        (ELSA, {"methods": {"elsa": {"penalty": 1}}}, [f"{MASKS}.method.penalty"]),
        (ELSA, {"methods": {"leap": {"steps": 1}, "wanda": {"budget": "layer"}}}, []),
        (WANDA, {"corpora": {"calibration": {"sequences": 8}}}, [f"{MASKS}.calibration.sequences"]),
        (WANDA, {"corpora": {"calibration": {"batch": 8}}}, [f"{MASKS}.batch"]),
        (WANDA, {"evaluation": {"tasks": {"piqa": SHOWN}}}, []),
        (WANDA, {"evaluation": {"tasks": {"piqa": ASKED}}},
         [f"evaluation.tasks.piqa.{key}" for key in sorted(ASKED)]),
        (LEAP, {"run": "other", "jobs_per_gpu": 2, "tracking": {"live": True}}, []),
        (LEAP, {"replace": True, "strict": True, "resources": {"train": {"threads": 2}}}, []),
        (LEAP, {"deterministic": False}, []),
        (LEAP, {"deterministic": True},
         [f"{MASKS}.deterministic", f"{MASKS}.warm_start.deterministic", "deterministic"]),
        (Cell.dense(MODEL), {"deterministic": True}, ["deterministic"]),
        (LEAP, {"execution": {"micro_batch": 1, "checkpointing": True}}, []),
    ],
)  # fmt: skip
def test_a_setting_changes_the_recipes_of_what_depends_on_it_and_no_other(cell, setting, keys):
    assert changed(cell, **setting) == keys


def test_densities_come_with_the_recipe_of_the_masks_they_are_those_of():
    like_leap = {"methods": {"mine": {"like": "wanda", "allocation": {"from": "leap"}}}}
    cell = Cell(MODEL, "mine", "0.5")
    recipe = recipes(**like_leap).masks(cell)
    assert recipe["allocation"]["masks"] == recipes().masks(LEAP)
    assert recipe["allocation"]["selection"] == recipes().selection(LEAP)
    both = {**like_leap["methods"], "leap": {"selection": "threshold"}}
    changed = recipes(methods=both).masks(cell)
    assert differences(recipe, changed) == [
        "allocation.selection.rule was 'exact', now 'threshold'"
    ]


def test_a_recipe_has_the_corpus_that_calibrates_and_how_much_of_it():
    first = {"calibration": {"corpus": "training", "sequences": 100}}
    recipe = recipes(methods={"wanda": first}).masks(WANDA)
    assert recipe["calibration"] == recipes().corpus("training")
    assert recipe["method"]["calibration"] == first["calibration"]
    fewer = {"calibration": {"corpus": "training", "sequences": 50}}
    assert differences(recipe, recipes(methods={"wanda": fewer}).masks(WANDA)) == [
        "method.calibration.sequences was 100, now 50"
    ]


def test_a_reconstruction_has_the_recipe_of_the_masks_and_weights_that_it_starts_from():
    recipe = recipes().masks(OF_ADMM)
    assert recipe["mask_from"] == {"masks": recipes().masks(ADMM)}
    assert recipe["method"]["mask_from"] == "admm" and "seed" not in recipe


def test_weights_under_a_learned_mask_have_the_recipe_of_its_training_and_selection():
    cell, part = Cell(MODEL, "leap-finetune", "0.5", 3), Cell(MODEL, "leap-100-steps", "0.5", 3)
    known = Recipes(loaded())
    found = known.masks(cell)
    assert found["mask_from"] == {"masks": known.masks(part), "selection": known.selection(part)}
    assert found["mask_from"]["masks"]["method"]["steps"] == 100
    assert (found["method"]["steps"], found["method"]["mask_from"]) == (400, "leap-100-steps")
    longer = Recipes(loaded(methods={"leap-finetune": {"steps": 1600}}))
    assert longer.masks(cell)["method"]["mask_from"] == "leap"
    # as much text in steps of another size
    small = Recipes(loaded(methods={"leap": {"batch": 8, "sequences_per_draw": 8}}))
    assert small.masks(cell)["method"]["mask_from"] == "leap-200-steps"


def test_learned_weights_have_a_training_and_no_selection():
    recipe = recipes().masks(ELSA)
    assert recipe["training"] == recipes().corpus("training")
    assert recipe["seed"] == 0 and "calibration" not in recipe
    assert recipe["method"]["interval"] == 4
    assert "selection" not in recipes().checkpoint(ELSA)
    like_elsa = {"methods": {"mine": {"like": "wanda", "allocation": {"from": "elsa"}}}}
    lent = recipes(**like_elsa).masks(Cell(MODEL, "mine", "0.5"))
    assert lent["allocation"] == {"masks": recipe}
    assert recipe["code"] != recipes().masks(LEAP)["code"]


def test_only_recipes_of_what_computes_have_deterministic():
    fixed = recipes(deterministic=True)
    validation = {"validation": load({"scale": "mini", "hub_mirror": ""})["corpora"]["validation"]}
    assert recipes(deterministic=True, corpora=validation).validation(LEAP)["deterministic"] is True
    assert "deterministic" not in recipes(corpora=validation).validation(LEAP)
    for same, argument in (("model", MODEL), ("corpus", "calibration"), ("selection", LEAP)):
        assert getattr(fixed, same)(argument) == getattr(recipes(), same)(argument)


def test_a_stochastic_cell_has_its_seed():
    one, other = (recipes().masks(Cell(MODEL, "leap", "0.5", seed)) for seed in (0, 1))
    assert differences(one, other) == ["seed was 0, now 1"]
    assert "seed" not in recipes().masks(WANDA)


def test_the_message_names_file_keys_and_both_ways_on():
    with pytest.raises(ValueError) as error:
        check(
            "a.json",
            {"method": {"budget": "row", "texts": ["a", 2]}, "code": "1" * 16},
            {"method": {"budget": 1, "texts": None}},
        )
    text = str(error.value)
    assert "a.json was made with other settings" in text
    assert "method.budget was 'row', now 1" in text
    assert 'method.texts was ["a", 2], now null' in text
    assert "code was 11111111, now not there" in text
    assert "run=NAME" in text


PLAIN = st.recursive(
    st.integers() | st.text(max_size=3) | st.lists(st.integers(), max_size=2),
    lambda values: st.dictionaries(st.sampled_from("abcd"), values, max_size=3),
    max_leaves=6,
)
VALUES = st.dictionaries(st.sampled_from("abcd"), PLAIN, max_size=3)


@settings(deadline=None)  # a busy machine is no failure
@given(VALUES, VALUES)
def test_there_are_no_differences_exactly_where_two_are_equal(one, other):
    assert differences(one, one) == []
    assert differences({"alpha": [1, 2]}, {"alpha": (1, 2)}) == []  # as JSON makes of a tuple
    assert (differences(one, other) == []) == (one == other)


@pytest.mark.parametrize(
    ("scale", "note"), [("mini", "Miniature models, generated tasks"), ("paper", "")]
)
def test_what_is_not_real_is_said(scale, note):
    assert synthetic_note(load({"scale": scale, "hub_mirror": ""})) == note
