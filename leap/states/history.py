"""The metrics of every step of a training."""

from collections.abc import Mapping, Sequence

import torch


class History:
    """A float64 table with one line a step and one column a metric."""

    def __init__(self, columns: Sequence[str], steps: int) -> None:
        self.columns = list(columns)
        self.table = torch.zeros(steps, len(self.columns), dtype=torch.float64)

    def write(self, step: int, metrics: Mapping[str, float]) -> None:
        """Write down the metrics of a step, all of them."""
        line = [metrics[column] for column in self.columns]
        self.table[step] = torch.tensor(line, dtype=torch.float64)

    def line(self, step: int) -> dict[str, float]:
        """The metrics of a step that has been taken, by name."""
        return dict(zip(self.columns, self.table[step].tolist(), strict=True))
