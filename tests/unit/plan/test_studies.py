"""The cells of the studies, which run beside the grid and not with it."""

import re
from itertools import product

import pytest
import yaml

from leap_suite.plan import config, studies
from leap_suite.plan.grid import cells
from leap_suite.plan.validation import ConfigError
from leap_suite.tables.registry import STUDY_FIGURES, TABLES
from tests.conftest import ROOT
from tests.unit.recipes import loaded


def independently(kind: str, values: dict, settings: dict) -> list[str]:
    """The cells of a shipped study, expanded without the code that plans."""
    kinds, methods = settings["implementations"], settings["methods"]
    learned = {name for name in methods if kinds[name] in ("leap", "maskllm", "patch", "elsa")}
    drawn = learned | {name for name in methods if kinds[name] == "random-mask"}
    if kind == "grid" and isinstance(values["methods"], dict):
        pairs = [(method, s) for method, own in values["methods"].items() for s in own]
    elif kind == "grid":
        pairs = [*product(values["methods"], values["sparsities"])]
    elif kind == "variants":
        variants = [f"{values['base']}-{name}" for name in values["variants"]]
        pairs = [(method, values["sparsity"]) for method in (values["base"], *variants)]
    else:
        calibrated, trained = values["calibrated"], values["trained"]
        shown = [*calibrated["methods"]]
        for method, n in product(calibrated["methods"], calibrated["sequences"]):
            shown.append(f"{method}-{n}-sequences")
        for method, n in product(trained["methods"], trained["steps"]):
            shown.append(method if methods[method]["steps"] == n else f"{method}-{n}-steps")
        pairs = [*product(shown, values["sparsities"])]
    found = []
    for model in values["models"]:
        found += [] if kind == "variants" else [f"{model}/dense/0.0"]
        for (method, sparsity), seed in product(pairs, values["seeds"]):
            if method in drawn or seed == 0:
                found.append(f"{model}/{method}/{sparsity}" + (f"/seed-{seed}" if seed else ""))
    return found


@pytest.mark.parametrize(
    ("scale", "name"),
    [
        (scale, name)
        for scale in ("mini", "laptop", "claim")
        for name in config.scale_settings(scale)["studies"]
    ],
)
def test_every_shipped_study_has_its_cells(scale, name):
    settings = loaded(scale=scale)
    ((kind, values),) = [i for i in settings["studies"][name].items() if i[0] in studies.KINDS]
    found = [cell.path for cell in studies.cells_of(name, settings)]
    assert len({*found}) == len(found)
    assert sorted(found) == sorted(independently(kind, values, settings))


def test_methods_with_sparsities_of_their_own_have_those_alone():
    models, methods = ["mini-gemma-3-1b"], {"leap": [0.7, 0.6], "wanda-2-4": [0.5], "wanda": [0.6]}
    grid = {"models": models, "methods": methods, "seeds": [2, 3]}
    found = cells(loaded(grid=grid))
    assert found == studies.cells_of(
        "mine", loaded(studies={"mine": {"grid": grid, "table": "main"}})
    )
    assert [cell.path.removeprefix(f"{models[0]}/") for cell in found] == [
        "dense/0.0", "leap/0.7/seed-2", "leap/0.7/seed-3", "leap/0.6/seed-2", "leap/0.6/seed-3",
        "wanda/0.6", "wanda-2-4/0.5",
    ]  # fmt: skip


def test_a_study_of_ones_own_makes_methods_of_its_own():
    variants = {"base": "wanda", "models": ["mini-gemma-3-1b"], "sparsity": 0.5, "seeds": [0, 1]}
    variants["variants"] = {"by-layer": {"budget": "layer"}}
    settings = loaded(studies={"budgets_2": {"variants": variants, "table": "search"}})
    assert studies.methods_of("budgets_2", settings) == {
        "wanda": {"budget": "row"}, "wanda-by-layer": {"budget": "layer"},
    }  # fmt: skip
    found = studies.cells_of("budgets_2", settings)
    assert [cell.path for cell in found] == [
        "mini-gemma-3-1b/wanda/0.5", "mini-gemma-3-1b/wanda-by-layer/0.5",
    ]  # fmt: skip
    assert {*cells(settings), *found} <= {*studies.all_cells(settings)}
    assert "studies" not in config.shown_settings(settings)


@pytest.mark.parametrize("asked", [studies.cells_of, studies.section, studies.methods_of])
def test_a_study_that_the_scale_has_not_is_said(asked):
    with pytest.raises(ConfigError, match="scale smoke has no target or study 'admm_search'"):
        asked("admm_search", loaded(scale="smoke"))


def test_a_study_cannot_have_the_name_of_another_target():
    settings = loaded()
    studies.refuse_names(settings, ["page", "tables"])
    with pytest.raises(ConfigError, match=r"studies\.sweep: .* use another\nstudies\.tokens: "):
        studies.refuse_names(settings, ["page", "tokens", "sweep"])


@pytest.mark.parametrize(
    "changed, problem",
    [
        ({"table": "man"}, "table: there is no table 'man' (did you mean 'main'?)"),
        ({"table": "tokens"}, "table: tokens is for studies of amounts; name another"),
        (
            {"figure": ["sweep", "shipped"]},
            "figure: shipped is for studies of amounts; name another",
        ),
        (
            {"measure": "validation"},
            "table: main does not show measure validation; name another table or measure\n"
            "studies.sweep.figure: sweep does not show measure validation; name another figure or "
            "measure",
        ),
    ],
)
def test_a_study_is_shown_by_what_can_show_it(changed, problem):
    tables = {name: table.study for name, table in TABLES.items()}
    studies.refuse_unfit(loaded(), tables, STUDY_FIGURES)
    settings = loaded(studies={"sweep": changed})
    with pytest.raises(ConfigError) as error:
        studies.refuse_unfit(settings, tables, STUDY_FIGURES)
    assert str(error.value) == f"studies.sweep.{problem}"


def test_figures_have_the_name_of_the_study_and_several_their_own_too():
    def figures(asked) -> dict:
        return studies.figures_of("sweep", loaded(studies={"sweep": {"figure": asked}}))

    assert figures("sweep") == figures(["sweep"]) == {"sweep": "sweep"}
    assert figures(["cost", "gain"]) == {"sweep_cost": "cost", "sweep_gain": "gain"}
    assert studies.figures_of("leap_search", loaded()) == {}


def test_figures_of_two_studies_cannot_have_one_name():
    sweep = loaded()["studies"]["sweep"]
    both = {"sweep": {"figure": ["cost", "gain"]}, "sweep_gain": {**sweep, "figure": "gain"}}
    with pytest.raises(ConfigError) as error:
        studies.refuse_unfit(
            loaded(studies=both), {t: TABLES[t].study for t in TABLES}, STUDY_FIGURES
        )
    assert str(error.value).splitlines() == [
        f"studies.{name}: another study has figures/sweep_gain; rename one of them"
        for name in both
    ]  # fmt: skip


def test_the_studies_in_the_documentation_are_studies():
    page = (ROOT / "docs/running.md").read_text()
    (block,) = re.findall(r"^    studies:\n(?:     .*\n)+", page, re.M)
    settings = loaded(**yaml.safe_load(block))
    found = [{cell.method for cell in studies.cells_of(n, settings)} for n in ("owl", "damping")]
    assert found == [{"dense", "wanda", "wanda-owl", "leap"}, {"admm", "admm-low", "admm-high"}]
    amounts = [f"reconstruct-{n}-sequences" for n in (80, 640)]
    assert {cell.method for cell in studies.cells_of("text", settings)} == {
        *("dense", "reconstruct", *amounts, "leap-50-steps", "leap", "elsa-50-steps", "elsa")
    }
    tokens = studies.tokens.points("text", settings)
    assert tokens[amounts[0]]["tokens"] == tokens["leap-50-steps"]["tokens"]
