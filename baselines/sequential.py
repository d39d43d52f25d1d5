"""The walk through a model: block by block, statistics first, then pruning, then new outputs.

Inputs of block k come from the already pruned blocks before it; the statistics of every layer in
a block are taken before any of them is pruned; then the block's outputs are computed again with
pruned weights. Axes: B sequences, T tokens, H hidden, O outputs, I inputs.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from baselines.pattern import sparsity_of
from baselines.registry import Method, Statistic
from baselines.replay import Call, record
from baselines.statistics import NoStatistic
from leap.budget import layer_survivors
from leap.model.layers import decoder_blocks, prunable_linears
from leap.seeds import noise_seed

Progress = Callable[[Iterable[Any], str], Iterable[Any]]


@dataclass(frozen=True)
class Group:
    """Layers of one block that receive the same input, and the statistic of that input."""

    names: list[str]
    statistic: Statistic


@dataclass(frozen=True)
class Pruned:
    """Masks (bool, [O, I]) of all prunable layers by name, and what happened on the way.

    A numerical event names the layers that share one input, and what happened there as numbers.
    `changed` are the layers in which a weight that survives has a new value.
    """

    masks: dict[str, Tensor]
    events: list[dict[str, Any]]
    changed: list[str]


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
    keep: Mapping[str, int] | None = None,
) -> Pruned:
    """Prune `model` in place.

    `batches` are calibration token ids [B, T] on the model's device. Every layer keeps as many
    weights as `keep` says (see `baselines.allocation`), if it is not given its exact share of
    round((1 - sparsity) * weights); what is outside the mask is zero. Raises ValueError
    where the method cannot have the sparsity, where weights or activations are not finite, or
    where the family's blocks cannot be run one at a time.
    """
    model.eval()
    _check_budget(getattr(settings, "budget", ""), sparsity)
    linears = prunable_linears(model)
    if keep is None:
        keep = layer_survivors({n: m.weight.numel() for n, m in linears.items()}, sparsity)
    own = {name: _of_layer(settings, index) for index, name in enumerate(linears)}
    masks: dict[str, Tensor] = {}
    events: list[dict[str, Any]] = []
    changed: set[str] = set()
    for group in walk(model, linears, method.Statistic, batches, progress):
        prepared = prepare(group, method, settings)
        events += _events(group, method, prepared)
        for name in group.names:
            layer = name, linears[name], method, own[name], prepared, keep[name]
            masks[name], is_new = _prune_layer(*layer)
            if is_new:
                changed.add(name)
        del group, prepared  # their matrices are as large as the layers
    in_order = {name: masks[name] for name in linears}
    return Pruned(in_order, events, [name for name in linears if name in changed])


def walk(
    model: nn.Module,
    linears: Mapping[str, nn.Linear],
    new_statistic: Callable[[], Statistic],
    batches: Sequence[Tensor],
    progress: Progress,
) -> Iterator[Group]:
    """The groups of every block in turn; a block's outputs follow when all its groups are done.

    So whoever prunes a group at once, prunes the later blocks on what the pruned ones put out.
    """
    prefix, blocks = decoder_blocks(model)
    needs_data = new_statistic is not NoStatistic
    recording = record(model, blocks, batches) if needs_data else None
    for index, block in enumerate(progress(blocks, "blocks")):
        inside = {n: m for n, m in linears.items() if n.startswith(f"{prefix}.{index}.")}
        if recording is None:
            yield Group(list(inside), NoStatistic())
            continue
        calls = recording.calls[index]
        groups = gather_statistics(block, inside, calls, recording.hidden, new_statistic)
        while groups:  # each statistic is released when its layers are done
            yield groups.pop(0)
        if index + 1 < len(blocks):
            recording.hidden = _outputs(block, calls, recording.hidden)
        recording.calls[index] = []


def _of_layer(settings: Any, index: int) -> Any:
    """The settings for one layer: with a seed of its own, where there is one."""
    if not hasattr(settings, "seed"):
        return settings
    return replace(settings, seed=noise_seed(settings.seed, index))


def _check_budget(budget: str, sparsity: float) -> None:
    if budget == "global":
        raise ValueError("budget global needs the driver baselines.whole_model")
    only = sparsity_of(budget)
    if only is not None and sparsity != only:
        raise ValueError(f"budget {budget} has the sparsity {only}, not {sparsity}: ask for {only}")


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
        def hook(_: nn.Module, inputs: tuple[Tensor, ...]) -> None:
            group.statistic.update(_tokens(inputs[0]))
            if group is groups[-1]:
                raise _SeenAll

        return hook

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


class _SeenAll(Exception):
    """Every statistic has its inputs: the rest of the block need not be computed."""


def _run_hooked(
    block: nn.Module,
    calls: Sequence[Call],
    hidden: Sequence[Tensor],
    hooks: list[tuple[nn.Linear, Callable[..., None]]],
) -> None:
    handles = [linear.register_forward_pre_hook(hook) for linear, hook in hooks]
    try:
        for call, hidden_BTH in zip(calls, hidden, strict=True):
            with suppress(_SeenAll):
                call.run(block, hidden_BTH)
    finally:
        for handle in handles:
            handle.remove()


def _tokens(inputs: Tensor) -> Tensor:
    return inputs.reshape(-1, inputs.shape[-1])


def prepare(group: Group, method: Method, settings: Any) -> Any:
    """What the method makes of a group's statistic; its ValueError names the layers."""
    try:
        return method.prepare(group.statistic, settings)
    except ValueError as error:
        raise ValueError(f"{', '.join(group.names)}: {error}") from error


def _events(group: Group, method: Method, prepared: Any) -> list[dict[str, Any]]:
    of_group = method.events(prepared) if hasattr(method, "events") else {}
    return [{"layers": group.names, **of_group}] if of_group else []


def _prune_layer(
    name: str, linear: nn.Linear, method: Method, settings: Any, prepared: Any, keep: int
) -> tuple[Tensor, bool]:
    """Prune a layer in place: its mask, and whether a weight that survives has a new value."""
    weight_OI = linear.weight.data
    version = weight_OI._version
    try:
        new_OI, mask_OI = method.prune(weight_OI, prepared, keep, settings)
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from error
    assert int(mask_OI.sum()) == keep, f"{name}: the method kept a wrong number of weights"
    new_OI = new_OI.to(weight_OI.dtype)
    # after a change in place there is nothing to compare with
    is_new = weight_OI._version != version or bool(((new_OI != weight_OI) & mask_OI).any())
    weight_OI.copy_(new_OI.masked_fill(~mask_OI, 0))
    if not torch.isfinite(linear.weight).all():
        raise ValueError(f"{name}: a pruned weight is not finite")
    return mask_OI.cpu(), is_new


def _outputs(block: nn.Module, calls: Sequence[Call], hidden: list[Tensor]) -> list[Tensor]:
    """The block's outputs by batch; each input is released as soon as its output exists."""
    for batch, call in enumerate(calls):
        hidden[batch] = call.run(block, hidden[batch])
    return hidden
