"""Which cells a grid has, and whose masks they take."""

from leap_suite.plan.cell import Cell
from leap_suite.plan.grid import cells, first_seeds, taken_masks
from tests.unit.recipes import loaded

MODEL = "mini-llama-3.2-1b"


def paths(grid: dict, **overrides) -> list[str]:
    """Paths of the cells below their one model."""
    settings = loaded(grid={"models": [MODEL], **grid}, **overrides)
    return [cell.path.removeprefix(f"{MODEL}/") for cell in cells(settings)]


def test_a_deterministic_method_has_no_seed_whatever_the_grids_is():
    """Or it would be pruned twice: for its own cell, and for the trainings that start from it."""
    grid = {"methods": ["wanda", "leap"], "sparsities": [0.5], "seeds": [1]}
    assert paths(grid) == ["dense/0.0", "wanda/0.5", "leap/0.5/seed-1"]
    settings = loaded(grid={"models": [MODEL], **grid})
    lent = taken_masks(settings, Cell(MODEL, "leap", "0.5", 1))
    assert lent == {"warm_start": Cell(MODEL, "wanda", "0.5")}


def test_n_of_m_has_its_own_sparsity_and_tiles_have_the_possible_ones():
    grid = {"methods": ["wanda", "wanda-2-4", "patch"], "sparsities": [0.3, 0.5, 0.6]}
    assert paths(grid) == [
        "dense/0.0", "wanda/0.3", "patch/0.3", "wanda/0.5", "wanda-2-4/0.5", "patch/0.5",
        "wanda/0.6",
    ]  # fmt: skip


def test_one_seed_stands_for_a_cell_in_figures_of_masks():
    seeds = [Cell(MODEL, "leap", "0.5", seed) for seed in (3, 1)]
    wanda = Cell(MODEL, "wanda", "0.5")
    assert first_seeds([seeds[0], wanda, seeds[1]]) == [seeds[0], wanda]


def test_masks_are_taken_at_the_sparsity_at_which_they_are_needed():
    settings = loaded()
    assert taken_masks(settings, Cell(MODEL, "patch", "0.35")) == {
        "warm_start": Cell(MODEL, "wanda", "0.35"),
        "sparse_masks": Cell(MODEL, "wanda-2-4", "0.5"),
    }
    for source in ("admm", "leap"):
        cell = Cell(MODEL, f"{source}-reconstruct", "0.6")
        assert taken_masks(settings, cell) == {"mask_from": Cell(MODEL, source, "0.6")}
    seeded = loaded(grid={"models": [MODEL], "seeds": [1]})
    # a deterministic method has the masks of the first seed, a stochastic one those of its own
    for method, seed in (("leap-reconstruct", 1), ("random-mask-finetune", 2)):
        (lender,) = taken_masks(seeded, Cell(MODEL, method, "0.6", 2)).values()
        assert lender.seed == seed
    random = loaded(methods={"leap": {"warm_start": "random"}})
    assert taken_masks(random, Cell(MODEL, "leap", "0.5")) == {}
