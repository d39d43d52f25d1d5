"""A cell: one model, method, sparsity and seed, and the paths of its files."""

from dataclasses import dataclass
from typing import Any, ClassVar

DENSE = "dense"
LEAP = "leap"


@dataclass(frozen=True)
class Cell:
    """Identity of one result, in paths, rules, evaluations and tables alike.

    `sparsity` is text as in paths, "0.5" ("0.0" for dense); `target` is its number.
    """

    model: str
    method: str
    sparsity: str
    seed: int = 0

    PATTERN: ClassVar[str] = "{model}/{method}/{sparsity}{seed}"

    @classmethod
    def of(cls, wildcards: Any) -> "Cell":
        """Cell of a job, from the wildcards of `PATTERN`."""
        seed = int(wildcards.seed.rpartition("-")[2] or 0)
        return cls(wildcards.model, wildcards.method, wildcards.sparsity, seed)

    @classmethod
    def at(cls, model: str, method: str, sparsity: float, seed: int = 0) -> "Cell":
        """Cell with this fraction of weights to remove."""
        return cls(model, method, repr(float(sparsity)), seed)

    @classmethod
    def dense(cls, model: str) -> "Cell":
        """Cell of the dense model."""
        return cls(model, DENSE, "0.0")

    @property
    def path(self) -> str:
        """Path below a stage's folder; seeds other than 0 are one level deeper."""
        below = f"/seed-{self.seed}" if self.seed else ""
        return f"{self.model}/{self.method}/{self.sparsity}{below}"

    @property
    def target(self) -> float:
        """Fraction of the prunable weights to remove."""
        return float(self.sparsity)
