"""Data-parallel training of one model, with replicated or sharded states.

Started by torchrun; without it there is one process, and nothing here does anything.
"""

import os
from collections.abc import Iterable
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch import distributed as dist

T = TypeVar("T")


def start() -> None:
    """Initialise the process group if torchrun started this process.

    With GPUs, tensors of the host still go over gloo, so that what only the hosts have to agree on
    waits for no GPU.
    """
    if "WORLD_SIZE" in os.environ and not dist.is_initialized():
        if torch.cuda.is_available():
            torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
        dist.init_process_group("cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo")


def rank() -> int:
    """Rank of this process; 0 without torchrun."""
    return dist.get_rank() if dist.is_initialized() else 0


def world_size() -> int:
    """Number of processes."""
    return dist.get_world_size() if dist.is_initialized() else 1


def all_reduce(values: Tensor) -> Tensor:
    """Sum over all processes, in place."""
    if world_size() > 1:
        dist.all_reduce(values)
    return values


def all_reduce_gradients(parameters: Iterable[nn.Parameter]) -> None:
    """Replace each gradient by its sum over all processes."""
    for parameter in parameters:
        if parameter.grad is not None:
            all_reduce(parameter.grad)


def any_process(flag: bool) -> bool:
    """Whether the flag is set in any process; the same answer in every process."""
    if world_size() == 1:
        return flag
    return bool(all_reduce(torch.tensor(int(flag))))


def of_first(value: T) -> T:
    """Broadcast the value of rank 0."""
    values = [value]
    if world_size() > 1:
        dist.broadcast_object_list(values)
    return values[0]


def shards(wanted: bool) -> bool:
    """Whether states are sharded: if requested, and with more than one process."""
    return wanted and world_size() > 1
