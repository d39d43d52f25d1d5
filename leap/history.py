"""The metrics of every step of a training."""

from collections.abc import Iterable, Mapping

import torch

_SCALARS = (
    "loss", "lm_loss", "density_term", "magnitude_term", "density", "alpha", "tau",
    "learning_rate", "gradient_norm", "tokens_per_second", "seconds",
)  # fmt: skip


class History:
    """A float64 table with one line a step and one column a metric, each layer's density too."""

    def __init__(self, layers: Iterable[str], steps: int) -> None:
        self.columns = [*_SCALARS, *(f"density/{name}" for name in layers)]
        self.table = torch.zeros(steps, len(self.columns), dtype=torch.float64)

    def write(self, step: int, metrics: Mapping[str, float]) -> None:
        """Write down the metrics of a step, all of them."""
        line = [metrics[column] for column in self.columns]
        self.table[step] = torch.tensor(line, dtype=torch.float64)

    def line(self, step: int) -> dict[str, float]:
        """The metrics of a step that has been taken, by name."""
        return dict(zip(self.columns, self.table[step].tolist(), strict=True))
