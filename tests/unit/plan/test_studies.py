"""The cells of the studies, which run beside the grid and not with it."""

import pytest

from suite.plan import config, studies
from suite.plan.grid import cells
from suite.plan.validation import ConfigError

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


def test_patterns_have_dense_and_each_method_at_its_own_sparsities():
    settings = config.load({**BASE, "grid": {"seeds": [2, 3]}})
    models = ["mini-gemma-3-1b", "mini-llama-3.2-1b"]
    settings["patterns"] = {
        "models": models,
        "methods": {"leap": [0.5], "wanda-2-4": [0.5], "patch": [0.35, 0.45]},
    }
    found = [cell.path for cell in studies.cells_of("patterns", settings)]
    of_one = [
        "dense/0.0", "leap/0.5/seed-2", "wanda-2-4/0.5", "patch/0.35/seed-2", "patch/0.45/seed-2",
    ]  # fmt: skip
    assert found == [f"{model}/{path}" for model in models for path in of_one]


def test_patterns_are_written_for_readers():
    written = studies.written_patterns(config.load(BASE))
    assert written["dense"] == "dense" and written["leap"] == "free"
    assert written["maskllm"] == "2:4" and written["patch"] == "dense or 2:4"


def test_a_varied_study_has_its_base_and_every_variant_with_every_seed():
    settings = config.load(BASE)
    found = studies.cells_of("ablations", settings)
    variants = settings["ablations"]["variants"]
    assert len(found) == (1 + len(variants)) * len(settings["ablations"]["seeds"])
    assert {cell.sparsity for cell in found} == {"0.6"}
    assert set(studies.settings_of("ablations", settings)) == {cell.method for cell in found}


@pytest.mark.parametrize("study", studies.GRIDS)
def test_a_study_that_is_a_grid_has_its_cells_in_order(study):
    grid = {"models": ["mini-llama-3.2-1b"], "methods": ["admm", "leap"], "sparsities": [0.55]}
    settings = config.load({**BASE, study: {**grid, "seeds": [0, 1]}})
    assert [(c.method, c.sparsity, c.seed) for c in studies.cells_of(study, settings)] == [
        ("dense", "0.0", 0), ("admm", "0.55", 0), ("leap", "0.55", 0), ("leap", "0.55", 1),
    ]  # fmt: skip


def test_allocation_compares_methods_that_differ_in_where_sparsity_lies_only():
    settings = config.load(BASE)
    methods = settings["methods"]
    for name in settings["allocation"]["methods"]:
        base = methods[name.split("-")[0]]
        changed = {key for key, value in methods[name].items() if base.get(key) != value}
        assert changed <= {"allocation", "density_scope"}, name
        assert bool(changed) == ("-" in name), name


@pytest.mark.parametrize("study", studies.GRIDS)
def test_unknown_methods_and_models_of_a_study_are_named(study):
    with pytest.raises(ConfigError) as error:
        config.load({**BASE, study: {"methods": ["wandda"], "models": ["nano"]}})
    assert f"{study}.methods: 'wandda' has no settings" in str(error.value)
    assert f"{study}.models: there is no model 'nano'" in str(error.value)


@pytest.mark.parametrize("study", studies.STUDIES)
def test_a_study_that_the_scale_has_not_is_said(study):
    with pytest.raises(ConfigError, match=f"{study}: scale smoke has none"):
        studies.cells_of(study, config.load({"scale": "smoke", "hub_mirror": ""}))
