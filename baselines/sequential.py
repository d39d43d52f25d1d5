"""The walk through a model: block by block, statistics first, then pruning, then new outputs.

Inputs of block k come from the already pruned blocks before it; the statistics of every layer in
a block are taken before any of them is pruned; then the block's outputs are computed again with
pruned weights. Axes: B sequences, T tokens, H hidden, O outputs, I inputs.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from baselines.registry import Method, Statistic
from baselines.replay import Call, record
from baselines.statistics import NoStatistic
from leap.budget import layer_survivors
from leap.layers import decoder_blocks, prunable_linears

Progress = Callable[[Iterable[Any], str], Iterable[Any]]


@dataclass(frozen=True)
class Group:
    """Layers of one block that receive the same input, and the statistic of that input."""

    names: list[str]
    statistic: Statistic


def no_progress(items: Iterable[Any], title: str) -> Iterable[Any]:
    """Show nothing."""
    return items


@torch.no_grad()
def prune_model(
    model: nn.Module,
    method: Method,
    settings: Any,
    sparsity: float,
    batches: Sequence[Tensor],
    progress: Progress = no_progress,
) -> dict[str, Tensor]:
    """Prune `model` in place; return the mask (bool, [O, I]) of every prunable layer by name.

    `batches` are calibration token ids [B, T] on the model's device. Every layer keeps its exact
    share of round((1 - sparsity) * weights); what is outside the mask is zero. Raises ValueError
    where weights or activations are not finite, or where the family's blocks cannot be run one
    at a time.
    """
    model.eval()
    linears = prunable_linears(model)
    keep = layer_survivors({n: m.weight.numel() for n, m in linears.items()}, sparsity)
    prefix, blocks = decoder_blocks(model)
    needs_data = method.Statistic is not NoStatistic
    recording = record(model, blocks, batches) if needs_data else None
    masks: dict[str, Tensor] = {}
    for index, block in enumerate(progress(blocks, "blocks")):
        inside = {n: m for n, m in linears.items() if n.startswith(f"{prefix}.{index}.")}
        if recording is None:
            groups = [Group(list(inside), NoStatistic())]
        else:
            calls = recording.calls[index]
            groups = gather_statistics(block, inside, calls, recording.hidden, method.Statistic)
        for group in groups:
            masks |= _prune_group(inside, group, method, settings, keep)
        if recording is not None:
            recording.hidden = _outputs(block, calls, recording.hidden)
            recording.calls[index] = []
    return {name: masks[name] for name in linears}


def gather_statistics(
    block: nn.Module,
    linears: Mapping[str, nn.Linear],
    calls: Sequence[Call],
    hidden: Sequence[Tensor],
    new_statistic: Callable[[], Statistic],
) -> list[Group]:
    """Run the block on every batch and take the statistic of each distinct input once.

    Layers that receive the very same tensor (q, k and v; gate and up) form one group.
    Raises ValueError for a layer that no calibration token reaches.
    """
    groups: list[Group] = []
    seen: list[Tensor] = []

    def discover(name: str) -> Callable[..., None]:
        def hook(_: nn.Module, inputs: tuple[Tensor, ...]) -> None:
            for group, tensor in zip(groups, seen, strict=True):
                if tensor is inputs[0]:
                    group.names.append(name)
                    return
            groups.append(Group([name], new_statistic()))
            seen.append(inputs[0])
            groups[-1].statistic.update(_tokens(inputs[0]))

        return hook

    def observe(group: Group) -> Callable[..., None]:
        return lambda _, inputs: group.statistic.update(_tokens(inputs[0]))

    _run_hooked(block, calls[:1], hidden[:1], [(linears[n], discover(n)) for n in linears])
    seen.clear()
    unreached = set(linears) - {name for group in groups for name in group.names}
    if unreached:
        raise ValueError(
            f"no calibration token reached {', '.join(sorted(unreached))}: "
            "use more or other calibration text"
        )
    leaders = [(linears[group.names[0]], observe(group)) for group in groups]
    _run_hooked(block, calls[1:], hidden[1:], leaders)
    return groups


def _run_hooked(
    block: nn.Module,
    calls: Sequence[Call],
    hidden: Sequence[Tensor],
    hooks: list[tuple[nn.Linear, Callable[..., None]]],
) -> None:
    handles = [linear.register_forward_pre_hook(hook) for linear, hook in hooks]
    try:
        for call, hidden_BTH in zip(calls, hidden, strict=True):
            call.run(block, hidden_BTH)
    finally:
        for handle in handles:
            handle.remove()


def _tokens(inputs: Tensor) -> Tensor:
    return inputs.reshape(-1, inputs.shape[-1])


def _prune_group(
    linears: Mapping[str, nn.Linear],
    group: Group,
    method: Method,
    settings: Any,
    keep: Mapping[str, int],
) -> dict[str, Tensor]:
    prepared = method.prepare(group.statistic, settings)
    masks = {}
    for name in group.names:
        weight = linears[name].weight
        try:
            new_OI, mask_OI = method.prune(weight.data, prepared, keep[name], settings)
        except ValueError as error:
            raise ValueError(f"{name}: {error}") from error
        assert int(mask_OI.sum()) == keep[name], (
            f"{name}: the method kept a wrong number of weights"
        )
        weight.data.copy_(new_OI.masked_fill(~mask_OI, 0))
        if not torch.isfinite(weight).all():
            raise ValueError(f"{name}: a pruned weight is not finite")
        masks[name] = mask_OI.cpu()
    return masks


def _outputs(block: nn.Module, calls: Sequence[Call], hidden: list[Tensor]) -> list[Tensor]:
    """The block's outputs by batch; each input is released as soon as its output exists."""
    for batch, call in enumerate(calls):
        hidden[batch] = call.run(block, hidden[batch])
    return hidden
