"""The cells of the grid: which model, method, sparsity and seed, and where its files lie."""

from collections.abc import Mapping, Set
from dataclasses import dataclass
from typing import Any

DENSE = "dense"


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
    """
    grid = settings["grid"]
    found = []
    for model in grid["models"]:
        found.append(Cell(model, DENSE, "0.0"))
        for sparsity in grid["sparsities"]:
            for method in grid["methods"]:
                seeds = grid["seeds"] if method in stochastic else grid["seeds"][:1]
                found += [Cell(model, method, repr(float(sparsity)), seed) for seed in seeds]
    return found
