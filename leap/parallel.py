"""Several processes that train one model: data-parallel, with or without sharded states.

Started by torchrun; without it there is one process, and nothing here does anything.
"""

import os
from collections.abc import Callable, Iterable
from typing import cast

import torch
from torch import Tensor, nn
from torch import distributed as dist


def start() -> None:
    """Join the other processes, if torchrun started this one.

    With GPUs, tensors of the host still go over gloo, so that what only the hosts have to agree on
    waits for no GPU.
    """
    if "WORLD_SIZE" in os.environ and not dist.is_initialized():
        if torch.cuda.is_available():
            torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
        dist.init_process_group("cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo")


def rank() -> int:
    """This process among all of them, from 0."""
    return dist.get_rank() if dist.is_initialized() else 0


def world_size() -> int:
    """How many processes train together."""
    return dist.get_world_size() if dist.is_initialized() else 1


def all_reduce(values: Tensor) -> Tensor:
    """The sum over all processes, in place."""
    if world_size() > 1:
        dist.all_reduce(values)
    return values


def all_reduce_gradients(parameters: Iterable[nn.Parameter]) -> None:
    """Replace each gradient by its sum over all processes."""
    for parameter in parameters:
        if parameter.grad is not None:
            all_reduce(parameter.grad)


def any_process(flag: bool) -> bool:
    """Whether the flag is set in any process; every process gets the same answer."""
    if world_size() == 1:
        return flag
    return bool(all_reduce(torch.tensor(int(flag))))


def all_reduce_min(value: int) -> int:
    """The smallest value of any process."""
    if world_size() == 1:
        return value
    tensor = torch.tensor(value)
    dist.all_reduce(tensor, dist.ReduceOp.MIN)
    return int(tensor)


def shards(wanted: bool) -> bool:
    """Whether states are split: if that is wanted and there is somebody to share with."""
    return wanted and world_size() > 1


def shard(
    model: nn.Module, blocks: nn.ModuleList, lm_loss: Callable[[Tensor], Tensor]
) -> Callable[[Tensor], Tensor]:
    """Split all weights and logits over the processes (FSDP2), block by block; the loss to use.

    A block's weights are put together again for as long as it computes, those outside of blocks
    for as long as the loss `lm_loss` of the model does. Gradients and whatever the optimiser
    keeps are split in the same way.
    """
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard, register_fsdp_forward_method

    mesh = init_device_mesh("cuda" if torch.cuda.is_available() else "cpu", (world_size(),))
    for block in blocks:
        fully_shard(block, mesh=mesh)
    fully_shard(model, mesh=mesh)
    model.lm_loss = lm_loss  # type: ignore[assignment]
    register_fsdp_forward_method(model, "lm_loss")
    return cast(Callable[[Tensor], Tensor], model.lm_loss)


def to_local(tensor: Tensor) -> Tensor:
    """This process' part of a split tensor, or the tensor itself."""
    return tensor.to_local() if hasattr(tensor, "to_local") else tensor


def full_tensor(tensor: Tensor) -> Tensor:
    """A split tensor put together, or the tensor itself."""
    return tensor.full_tensor() if hasattr(tensor, "full_tensor") else tensor
