"""The cells of the grid: which model, method, sparsity and seed, and where its files lie."""

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Any

from baselines.pattern import sparsity_of

DENSE = "dense"
LEAP = "leap"


@dataclass(frozen=True)
class Cell:
    """One result of the grid. `sparsity` is written as in paths: "0.5", and "0.0" for dense."""

    model: str
    method: str
    sparsity: str
    seed: int = 0

    @property
    def path(self) -> str:
        """Its place below a stage's folder; a seed other than 0 is one level deeper."""
        below = f"/seed-{self.seed}" if self.seed else ""
        return f"{self.model}/{self.method}/{self.sparsity}{below}"


def cells(settings: Mapping[str, Any], stochastic: Set[str]) -> list[Cell]:
    """All cells: model by model, dense first, then by sparsity, method and seed as configured.

    Methods that are not `stochastic` run with the first seed only, since all give one result.
    Methods with an N:M budget have one sparsity of their own, whatever the grid's are.
    """
    grid = settings["grid"]
    sparsities = {name: _sparsities(settings, name) for name in grid["methods"]}
    found = []
    for model in grid["models"]:
        found.append(Cell(model, DENSE, "0.0"))
        for sparsity in _all(grid["sparsities"], *sparsities.values()):
            for method in grid["methods"]:
                seeds = grid["seeds"] if method in stochastic else grid["seeds"][:1]
                if sparsity in sparsities[method]:
                    found += [Cell(model, method, repr(sparsity), seed) for seed in seeds]
    return found


def _sparsities(settings: Mapping[str, Any], method: str) -> list[float]:
    only = sparsity_of(str(settings["methods"][method].get("budget", "")))
    return _all(settings["grid"]["sparsities"]) if only is None else [only]


def _all(*lists: Sequence[float]) -> list[float]:
    """Each value once, in the order of its first place."""
    return list(dict.fromkeys(float(value) for values in lists for value in values))
