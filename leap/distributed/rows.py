"""Row-sharded matrices: which process has which rows, all-gather and reduce-scatter.

Bands are rows that stay together, those of a row of PATCH's tiles. The first process has the most
rows, and all others as many, but for the last ones. Axes: O outputs, I inputs, R the rows of this
process, P those of the first.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch import distributed as dist
from torch.nn.functional import pad

from leap.distributed import parallel


@dataclass(frozen=True)
class Rows:
    """Rows `first` to `stop` (excluded) of a matrix with `of` rows."""

    first: int
    stop: int
    of: int

    @property
    def height(self) -> int:
        return self.stop - self.first


@dataclass(frozen=True)
class Split:
    """Row sharding of a matrix with `outputs` rows, and of a tensor that belongs to the matrix.

    The tensor has `length` rows, one for each of the matrix, or one for each of its row_blocks.
    """

    outputs: int
    row_block: int
    length: int

    def rows(self, rank: int, processes: int) -> Rows:
        """Rows of the matrix on a rank."""
        row_blocks = -(-self.outputs // self.row_block)
        height = -(-row_blocks // processes) * self.row_block
        first, stop = (min(place * height, self.outputs) for place in (rank, rank + 1))
        return Rows(first, stop, self.outputs)

    def part(self, rank: int, processes: int) -> slice:
        """Rows of the tensor on a rank."""
        rows = self.rows(rank, processes)
        each = 1 if self.length == self.outputs else self.row_block
        return slice(-(-rows.first // each), -(-rows.stop // each))

    def own_rows(self) -> Rows:
        """Rows of the matrix in this process."""
        return self.rows(parallel.rank(), parallel.world_size())

    def own(self) -> slice:
        """Rows of the tensor in this process."""
        return self.part(parallel.rank(), parallel.world_size())

    def height(self) -> int:
        """Number of the tensor's rows on rank 0."""
        return self.part(0, parallel.world_size()).stop


def gathered(part_RI: Tensor, split: Split) -> Tensor:
    """All-gather the matrix [O, I] from the rows of each process.

    The gradient of the rows is the mean of all processes' gradients of the whole, added up in
    float32.
    """
    whole_OI: Tensor = _Gathered.apply(part_RI, split)
    return whole_OI


class _Gathered(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, part_RI: Tensor, split: Split) -> Tensor:
        ctx.rows, ctx.height = len(part_RI), split.height()
        part_PI = _padded(part_RI, ctx.height)
        whole = part_PI.new_empty(ctx.height * parallel.world_size(), *part_PI.shape[1:])
        dist.all_gather_into_tensor(whole, part_PI)
        return whole[: split.length]

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        processes = parallel.world_size()
        whole = _padded(grads[0].float(), ctx.height * processes)
        part_PI = whole.new_empty(ctx.height, *whole.shape[1:])
        dist.reduce_scatter_tensor(part_PI, whole)
        return part_PI[: ctx.rows] / processes, None


def summed(values: Tensor) -> Tensor:
    """Sum over all processes, with the gradient of this process' summand."""
    total = parallel.all_reduce(values.detach().clone())
    return values + (total - values.detach())


def collected(part: Tensor, split: Split) -> Tensor | None:
    """Gather the whole tensor on the CPU of rank 0; None on other ranks."""
    padded = _padded(part.detach().cpu(), split.height())
    first = parallel.rank() == 0
    parts = [torch.empty_like(padded) for _ in range(parallel.world_size())] if first else None
    dist.gather(padded, parts)
    return torch.cat(parts)[: split.length] if parts else None


def _padded(rows: Tensor, height: int) -> Tensor:
    missing = height - len(rows)
    return (pad(rows, (0, 0) * (rows.ndim - 1) + (0, missing)) if missing else rows).contiguous()
