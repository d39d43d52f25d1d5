"""Which cells a grid and a comparison of patterns have, and where their files lie."""

from suite.plan import config
from suite.plan.grid import Cell, cells, pattern_cells

BASE = {"scale": "mini", "hub_mirror": ""}


def test_cells_have_dense_once_and_more_seeds_only_where_they_matter():
    grid = {"models": ["m"], "methods": ["a", "b"], "sparsities": [0.5, 0.65], "seeds": [0, 3]}
    settings = {"grid": grid, "methods": {"a": {}, "b": {}}}
    found = cells({**settings, "implementations": {"a": "thanos", "b": "leap"}}, {"b"})
    assert [cell.path for cell in found] == [
        "m/dense/0.0", "m/a/0.5", "m/b/0.5", "m/b/0.5/seed-3",
        "m/a/0.65", "m/b/0.65", "m/b/0.65/seed-3",
    ]  # fmt: skip
    assert found[0] == Cell("m", "dense", "0.0")


def test_an_n_of_m_budget_has_one_cell_at_its_own_sparsity():
    overrides = {
        "grid": {"models": ["mini-llama-3.2-1b"], "methods": ["wanda", "wanda-2-4"],
                 "sparsities": [0.6, 0.7]},
        "methods": {"wanda-2-4": {"like": "wanda", "budget": "2:4"}},
    }  # fmt: skip
    found = [
        cell.path.split("/", 1)[1] for cell in cells(config.load({**BASE, **overrides}), set())
    ]
    assert found == ["dense/0.0", "wanda/0.6", "wanda/0.7", "wanda-2-4/0.5"]


def test_a_grid_gives_tiles_only_the_sparsities_that_they_can_have():
    grid = {"models": ["mini-llama-3.2-1b"], "methods": ["maskllm", "patch"],
            "sparsities": [0.3, 0.5, 0.6]}  # fmt: skip
    found = cells(config.load({**BASE, "grid": grid}), set())
    assert [cell.path.split("/", 1)[1] for cell in found] == [
        "dense/0.0", "patch/0.3", "maskllm/0.5", "patch/0.5",
    ]  # fmt: skip


def test_patterns_have_dense_and_each_method_at_its_own_sparsities():
    settings = config.load({**BASE, "grid": {"seeds": [2, 3]}})
    models = ["mini-gemma-3-1b", "mini-llama-3.2-1b"]
    settings["patterns"] = {
        "models": [*models, "not-in-the-grid"],
        "methods": {"leap": [0.5], "patch": [0.35, 0.45]},
    }
    found = [cell.path for cell in pattern_cells(settings)]
    of_one = ["dense/0.0", "leap/0.5/seed-2", "patch/0.35/seed-2", "patch/0.45/seed-2"]
    assert found == [f"{model}/{path}" for model in models for path in of_one]
    settings["grid"]["methods"] = ["wanda"]
    assert pattern_cells(settings) == [], "a smaller grid stays small"
    del settings["patterns"]
    assert pattern_cells(settings) == []
