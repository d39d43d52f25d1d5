"""The cells of the studies, which run beside the grid and not with it."""

import re
from itertools import product

import pytest
import yaml

from suite.plan import config, studies
from suite.plan.grid import cells
from suite.plan.validation import ConfigError
from suite.tables.registry import STUDY_FIGURES, TABLES
from tests.conftest import ROOT

BASE = {"scale": "mini", "hub_mirror": ""}


def test_the_default_grid_has_the_papers_methods_and_no_study():
    settings = config.load(BASE)
    methods = {cell.method for cell in cells(settings)}
    assert methods == {"dense", *settings["grid"]["methods"]}
    assert methods > {"dense", "magnitude", "wanda", "sparsegpt", "thanos", "admm", "leap"}
    assert len(studies.all_cells(settings)) > len(cells(settings))


def test_a_grid_of_one_cell_is_one_training():
    grid = {"models": ["mini-llama-3.2-1b"], "methods": ["leap"], "sparsities": [0.5]}
    found = cells(config.load({**BASE, "grid": grid}))
    assert [cell.method for cell in found] == ["dense", "leap"]


def own(name: str, **values) -> dict:
    """Settings of a study of one's own, or of changes of the scale's."""
    return {**BASE, "studies": {name: values}}


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
        pairs = [(method, values["sparsity"]) for method in calibrated["methods"]]
        for method, n in product(calibrated["methods"], calibrated["sequences"]):
            pairs.append((f"{method}-{n}-sequences", values["sparsity"]))
        for method, n in product(trained["methods"], trained["steps"]):
            itself = methods[method]["steps"] == n
            pairs.append((method if itself else f"{method}-{n}-steps", values["sparsity"]))
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
    settings = config.load({**BASE, "scale": scale})
    ((kind, values),) = [i for i in settings["studies"][name].items() if i[0] in studies.KINDS]
    found = [cell.path for cell in studies.cells_of(name, settings)]
    assert len({*found}) == len(found)
    assert sorted(found) == sorted(independently(kind, values, settings))


def test_shipped_studies_are_those_whose_results_are_known():
    """Recorded results lie below these names, and so do the targets that pages name."""
    assert studies.names(config.load(BASE)) == [
        "patterns", "sweep", "allocation", "opponents", "tokens", "ablations", "leap_search",
        "elsa_search",
    ]  # fmt: skip
    searches = [f"{name}_search" for name in ("leap", "elsa", "admm", "alps", "reconstruct")]
    laptop, claim = (config.load({**BASE, "scale": scale}) for scale in ("laptop", "claim"))
    assert studies.names(laptop) == ["patterns", *searches]
    assert studies.names(claim) == ["patterns", *searches, "sweep"]
    assert all(studies.section(name, laptop)["measure"] == "validation" for name in searches)
    assert studies.section("sweep", claim)["measure"] == "test"


def test_methods_with_sparsities_of_their_own_have_those_alone():
    models, methods = ["mini-gemma-3-1b"], {"leap": [0.7, 0.6], "wanda-2-4": [0.5], "wanda": [0.6]}
    grid = {"models": models, "methods": methods, "seeds": [2, 3]}
    found = cells(config.load({**BASE, "grid": grid}))
    assert found == studies.cells_of("mine", config.load(own("mine", grid=grid, table="main")))
    assert [cell.path.removeprefix(f"{models[0]}/") for cell in found] == [
        "dense/0.0", "leap/0.7/seed-2", "leap/0.7/seed-3", "leap/0.6/seed-2", "leap/0.6/seed-3",
        "wanda/0.6", "wanda-2-4/0.5",
    ]  # fmt: skip


def test_a_study_of_ones_own_makes_methods_of_its_own():
    variants = {"base": "wanda", "models": ["mini-gemma-3-1b"], "sparsity": 0.5, "seeds": [0, 1]}
    variants["variants"] = {"by-layer": {"budget": "layer"}}
    settings = config.load(own("budgets_2", variants=variants, table="search"))
    assert studies.methods_of("budgets_2", settings) == {
        "wanda": {"budget": "row"}, "wanda-by-layer": {"budget": "layer"},
    }  # fmt: skip
    found = studies.cells_of("budgets_2", settings)
    assert [cell.path for cell in found] == [
        "mini-gemma-3-1b/wanda/0.5", "mini-gemma-3-1b/wanda-by-layer/0.5",
    ]  # fmt: skip
    assert {*found} <= {*studies.all_cells(settings)}


def test_allocation_compares_methods_that_differ_in_where_sparsity_lies_only():
    settings = config.load(BASE)
    methods = settings["methods"]
    for name in studies.methods_of("allocation", settings):
        base = methods[name.split("-")[0]]
        changed = {key for key, value in methods[name].items() if base.get(key) != value}
        assert changed <= {"allocation", "density_scope"}, name
        assert bool(changed) == ("-" in name), name


@pytest.mark.parametrize("name", ["ablations", "admm_search", "mine"])
def test_a_study_that_the_scale_has_not_is_said(name):
    settings = config.load({"scale": "smoke", "hub_mirror": ""})
    for asked in (studies.cells_of, studies.section, studies.methods_of):
        with pytest.raises(ConfigError, match=f"{name}: scale smoke has none"):
            asked(name, settings)


def test_a_study_cannot_have_the_name_of_another_target():
    settings = config.load(BASE)
    studies.refuse_names(settings, ["page", "tables"])
    with pytest.raises(ConfigError) as error:
        studies.refuse_names(settings, ["page", "tokens", "sweep"])
    assert str(error.value).splitlines() == [
        "studies.sweep: the name is taken; use another",
        "studies.tokens: the name is taken; use another",
    ]


@pytest.mark.parametrize(
    "changed, problem",
    [
        ({"table": "man"}, "table: there is no table 'man' (did you mean 'main'?)"),
        ({"figure": "swep"}, "figure: there is no figure 'swep' (did you mean 'sweep'?)"),
        ({"table": "tokens"}, "table: tokens is for studies of amounts; name another"),
        (
            {"table": "search"},
            "table: search does not show measure test; name another table or measure",
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
    studies.refuse_unfit(config.load(BASE), tables, STUDY_FIGURES)
    settings = config.load({**BASE, "studies": {"sweep": changed}})
    with pytest.raises(ConfigError) as error:
        studies.refuse_unfit(settings, tables, STUDY_FIGURES)
    assert str(error.value) == f"studies.sweep.{problem}"


def test_the_page_of_a_grid_shows_nothing_of_studies():
    assert "studies" not in config.shown_settings(config.load(BASE))


def test_the_studies_in_the_documentation_are_studies():
    page = (ROOT / "docs/running.md").read_text()
    (block,) = re.findall(r"^    studies:\n(?:     .*\n)+", page, re.M)
    settings = config.load({**BASE, **yaml.safe_load(block)})
    found = [{cell.method for cell in studies.cells_of(n, settings)} for n in ("owl", "damping")]
    assert found == [{"dense", "wanda", "wanda-owl", "leap"}, {"admm", "admm-low", "admm-high"}]
