"""The cells of the grid: which model, method, sparsity and seed, and where its files lie."""

from collections.abc import Mapping, Sequence
from typing import Any

from baselines.pattern import sparsity_of
from suite.plan.cell import Cell
from suite.plan.methods import can_have, methods_that_are, pattern_of


def cells(settings: Mapping[str, Any]) -> list[Cell]:
    """All cells: model by model, dense first, then by sparsity, method and seed as configured.

    Methods that are not stochastic have one seed, 0, since all would give one result. Methods that
    are N:M throughout have one sparsity of their own, whatever the grid's are, and those that are
    in parts only the sparsities that they can have.
    """
    return cells_of(settings, settings["grid"])


def cells_of(settings: Mapping[str, Any], grid: Mapping[str, Any]) -> list[Cell]:
    """The cells of any grid of models, methods, sparsities and seeds."""
    stochastic = methods_that_are("stochastic", settings)
    sparsities = {name: _sparsities(settings, grid, name) for name in grid["methods"]}
    found = []
    for model in grid["models"]:
        found.append(Cell.dense(model))
        for sparsity in _all(grid["sparsities"], *sparsities.values()):
            for method in grid["methods"]:
                seeds = grid["seeds"] if method in stochastic else [0]
                if sparsity in sparsities[method]:
                    found += [Cell.at(model, method, sparsity, seed) for seed in seeds]
    return found


def taken_masks(settings: Mapping[str, Any], cell: Cell) -> dict[str, Cell]:
    """The cells whose masks a learned method starts from or keeps to, by the setting's name.

    A stochastic method lends the masks of the grid's first seed.
    """
    own = settings["methods"][cell.method]
    sparsities = {"warm_start": cell.target, "sparse_masks": sparsity_of(pattern_of(own))}
    stochastic = methods_that_are("stochastic", settings)
    taken = {}
    for name, sparsity in sparsities.items():
        lender = own.get(name, "random")
        if lender != "random" and sparsity is not None:
            seed = settings["grid"]["seeds"][0] if lender in stochastic else 0
            taken[name] = Cell.at(cell.model, lender, sparsity, seed)
    return taken


def _sparsities(settings: Mapping[str, Any], grid: Mapping[str, Any], method: str) -> list[float]:
    values = settings["methods"][method]
    only = None if "tile" in values else sparsity_of(pattern_of(values))
    every = _all(grid["sparsities"] if only is None else [only])
    return [sparsity for sparsity in every if can_have(values, sparsity)]


def _all(*lists: Sequence[float]) -> list[float]:
    """Each value once, in the order of its first place."""
    return list(dict.fromkeys(float(value) for values in lists for value in values))
