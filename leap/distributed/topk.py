"""Exact top-k mask of a row-sharded matrix. Axes: R rows of this process, I inputs."""

from torch import Tensor

from leap import topk
from leap.distributed import parallel


def largest(score_RI: Tensor, keep: int, split: bool) -> Tensor:
    """Mask [R, I] of the `keep` largest scores of the whole matrix; ties go to the first ones.

    With `split` rows, processes exchange counts and no scores.
    """
    totals = _totals if split else topk.single_process
    return topk.largest([score_RI.reshape(1, -1)], keep, totals)[0].view(score_RI.shape)


def _totals(count: Tensor) -> tuple[Tensor, Tensor]:
    counts = count.new_zeros(parallel.world_size(), *count.shape)
    counts[parallel.rank()] = count
    parallel.all_reduce(counts)
    return counts.sum(dim=0), counts[: parallel.rank()].sum(dim=0)
