"""Cells of the grid, and cells that lend masks to others."""

from collections.abc import Mapping, Sequence
from typing import Any

from baselines.pattern import sparsity_of
from leap_suite.plan.cell import Cell
from leap_suite.plan.methods import can_have, masks_taken, methods_that_are, only_sparsity


def cells(settings: Mapping[str, Any]) -> list[Cell]:
    """All cells: by model, dense first, then by sparsity, method and seed in configured order.

    Deterministic methods have the one seed 0. Methods with N:M in all groups have their pattern's
    sparsity, whatever the grid's are, and methods of N:M tiles the possible ones of the grid.
    """
    return cells_of(settings, settings["grid"])


def cells_of(settings: Mapping[str, Any], grid: Mapping[str, Any]) -> list[Cell]:
    """Cells of any grid of models, methods, sparsities and seeds.

    Where its methods are a mapping, they have the sparsities in it.
    """
    stochastic = methods_that_are("stochastic", settings)
    sparsities = {name: _sparsities(settings, grid, name) for name in grid["methods"]}
    listed = [] if own_sparsities(grid) else grid["sparsities"]
    found = []
    for model in grid["models"]:
        found.append(Cell.dense(model))
        for sparsity in _all(listed, *sparsities.values()):
            for method in grid["methods"]:
                seeds = grid["seeds"] if method in stochastic else [0]
                if sparsity in sparsities[method]:
                    found += [Cell.at(model, method, sparsity, seed) for seed in seeds]
    return found


def own_sparsities(grid: Mapping[str, Any]) -> Mapping[str, list[float]]:
    """Sparsities by method, where a grid's methods are a mapping."""
    methods = grid.get("methods")
    return methods if isinstance(methods, Mapping) else {}


def first_seeds(found: Sequence[Cell]) -> list[Cell]:
    """The first seed's cell of each model, method and sparsity."""
    firsts: dict[tuple[str, str, str], Cell] = {}
    for cell in found:
        firsts.setdefault((cell.model, cell.method, cell.sparsity), cell)
    return list(firsts.values())


def taken_masks(settings: Mapping[str, Any], cell: Cell) -> dict[str, Cell]:
    """Cells whose masks a cell takes, by the setting that names their method.

    Their sparsity is that of the pattern or of the cell. A stochastic method lends the masks of the
    cell's seed to another stochastic one, and of the grid's first seed to a deterministic one.
    """
    stochastic = methods_that_are("stochastic", settings)
    implementation = settings["implementations"][cell.method]
    taken = {}
    for name, masks in masks_taken(implementation, settings["methods"][cell.method]).items():
        target = sparsity_of(masks.pattern or "") or cell.target
        first = cell.seed if cell.method in stochastic else settings["grid"]["seeds"][0]
        seed = first if masks.method in stochastic else 0
        taken[name] = Cell.at(cell.model, masks.method, target, seed)
    return taken


def _sparsities(settings: Mapping[str, Any], grid: Mapping[str, Any], method: str) -> list[float]:
    own = own_sparsities(grid)
    if method in own:
        return _all(own[method])
    implementation, values = settings["implementations"][method], settings["methods"][method]
    only = only_sparsity(implementation, values)
    every = _all(grid["sparsities"] if only is None else [only])
    return [sparsity for sparsity in every if can_have(implementation, values, sparsity)]


def _all(*lists: Sequence[float]) -> list[float]:
    """Distinct values in order of first occurrence."""
    return list(dict.fromkeys(float(value) for values in lists for value in values))
