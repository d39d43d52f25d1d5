"""The cells of the grid: which model, method, sparsity and seed, and where its files lie."""

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Any, ClassVar

from suite.plan.methods import DENSE, can_have, only_sparsity

LEAP = "leap"


@dataclass(frozen=True)
class Cell:
    """One result of a run: what names it in paths, rules, evaluations and tables alike.

    `sparsity` is written as in paths, "0.5", and "0.0" for dense; `target` is the same as a number.
    """

    model: str
    method: str
    sparsity: str
    seed: int = 0

    PATTERN: ClassVar[str] = "{model}/{method}/{sparsity}{seed}"

    @classmethod
    def of(cls, wildcards: Any) -> "Cell":
        """The cell of a job, from the wildcards of `PATTERN`."""
        seed = int(wildcards.seed.rpartition("-")[2] or 0)
        return cls(wildcards.model, wildcards.method, wildcards.sparsity, seed)

    @classmethod
    def at(cls, model: str, method: str, sparsity: float, seed: int = 0) -> "Cell":
        """The cell with this fraction of weights to remove."""
        return cls(model, method, repr(float(sparsity)), seed)

    @classmethod
    def dense(cls, model: str) -> "Cell":
        """The model as it is."""
        return cls(model, DENSE, "0.0")

    @property
    def path(self) -> str:
        """Its place below a stage's folder; a seed other than 0 is one level deeper."""
        below = f"/seed-{self.seed}" if self.seed else ""
        return f"{self.model}/{self.method}/{self.sparsity}{below}"

    @property
    def target(self) -> float:
        """Fraction of the prunable weights to remove."""
        return float(self.sparsity)


def cells(settings: Mapping[str, Any], stochastic: Set[str]) -> list[Cell]:
    """All cells: model by model, dense first, then by sparsity, method and seed as configured.

    Methods that are not `stochastic` run with the first seed only, since all give one result.
    Methods that are N:M throughout have one sparsity of their own, whatever the grid's are, and
    those that are in parts only the sparsities that they can have.
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


def pattern_cells(settings: Mapping[str, Any]) -> list[Cell]:
    """The cells that compare patterns of sparsity with LEAP, on models of the grid.

    None where the scale has no such comparison, or the grid no LEAP: a grid that was made smaller
    by the user stays small.
    """
    grid = settings["grid"]
    if "patterns" not in settings or LEAP not in grid["methods"]:
        return []
    chosen, seed = settings["patterns"], grid["seeds"][0]
    found = []
    for model in (name for name in chosen["models"] if name in grid["models"]):
        found.append(Cell(model, DENSE, "0.0"))
        for method, sparsities in chosen["methods"].items():
            found += [Cell(model, method, repr(float(value)), seed) for value in sparsities]
    return found


def _sparsities(settings: Mapping[str, Any], name: str) -> list[float]:
    implementation, values = settings["implementations"][name], settings["methods"][name]
    only = only_sparsity(implementation, values)
    every = _all(settings["grid"]["sparsities"] if only is None else [only])
    return [sparsity for sparsity in every if can_have(implementation, values, sparsity)]


def _all(*lists: Sequence[float]) -> list[float]:
    """Each value once, in the order of its first place."""
    return list(dict.fromkeys(float(value) for values in lists for value in values))
