"""Metrics of every step of a training."""

from collections.abc import Mapping, Sequence

import torch


class History:
    """Float64 table with one row per step and one column per metric."""

    def __init__(self, columns: Sequence[str], steps: int) -> None:
        self.columns = list(columns)
        self.table = torch.zeros(steps, len(self.columns), dtype=torch.float64)

    def write(self, step: int, metrics: Mapping[str, float]) -> None:
        """Store all metrics of a step."""
        line = [metrics[column] for column in self.columns]
        self.table[step] = torch.tensor(line, dtype=torch.float64)

    def line(self, step: int) -> dict[str, float]:
        """Metrics of a finished step, by name."""
        return dict(zip(self.columns, self.table[step].tolist(), strict=True))
