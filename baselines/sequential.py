"""Block-by-block driver of layer-wise pruning: statistics first, then pruning, then new outputs.

Inputs of block k come from the pruned blocks before it; the statistics of every layer in a block
are gathered before any of them is pruned; then the block's outputs are recomputed with the pruned
weights. Axes: B sequences, T tokens, H hidden, O outputs, I inputs.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from baselines.pattern import sparsity_of
from baselines.registry import Method, Statistic
from baselines.replay import Call, Reached, hooks, record, record_outputs
from baselines.statistics import NoStatistic
from leap.budget import layer_survivors
from leap.model.layers import decoder_blocks, prunable_linears
from leap.seeds import noise_seed

Progress = Callable[[Iterable[Any], str], Iterable[Any]]


@dataclass(frozen=True)
class Group:
    """Layers of a block that receive the same input, and the statistic of that input."""

    names: list[str]
    statistic: Statistic


@dataclass(frozen=True)
class Pruned:
    """Masks (bool, [O, I]) of all prunable layers by name, and numerical events.

    An event names layers that share an input, and has numbers by name, such as dead columns.
    `changed` are the layers in which a surviving weight has a new value, and `beside` the names of
    other parameters with one.
    """

    masks: dict[str, Tensor]
    events: list[dict[str, Any]]
    changed: list[str]
    beside: Sequence[str] = ()


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

    `batches` are calibration token ids [B, T] on the model's device. `keep` is the number of
    survivors of each layer (see `baselines.allocation`), by default its exact share of
    round((1 - sparsity) * weights); removed weights become zero. Raises ValueError where the
    method's pattern has another sparsity, where weights or activations are not finite, or where
    the family's blocks cannot be run one at a time.
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
    """Groups of every block in turn; a block's outputs are computed after its last group.

    A caller that prunes each group at once thus prunes later blocks on the outputs of pruned ones.
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
            record_outputs(block, {}, calls, recording.hidden)
        recording.calls[index] = []


def _of_layer(settings: Any, index: int) -> Any:
    """Settings for one layer, with a seed of its own where the method has one."""
    if not hasattr(settings, "seed"):
        return settings
    return replace(settings, seed=noise_seed(settings.seed, index))


def _check_budget(budget: str, sparsity: float) -> None:
    if budget == "global":
        raise ValueError("budget global needs the driver baselines.whole_model")
    only = sparsity_of(budget)
    if only is not None and sparsity != only:
        raise ValueError(f"budget {budget} has the sparsity {only}, not {sparsity}: set {only}")


def gather_statistics(
    block: nn.Module,
    linears: Mapping[str, nn.Linear],
    calls: Sequence[Call],
    hidden: Sequence[Tensor],
    new_statistic: Callable[[], Statistic],
) -> list[Group]:
    """Run the block on every batch and gather the statistic of each distinct input once.

    Layers that receive the same tensor (q, k and v; gate and up) form one group. Raises
    ValueError for a layer that no calibration token reaches.
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
                raise Reached

        return hook

    with hooks([linears[name].register_forward_pre_hook(discover(name)) for name in linears]):
        calls[0].run(block, hidden[0])
    seen.clear()
    unreached = set(linears) - {name for group in groups for name in group.names}
    if unreached:
        raise ValueError(
            f"no calibration token reached {', '.join(sorted(unreached))}: "
            "use more or other calibration text"
        )
    with hooks([linears[g.names[0]].register_forward_pre_hook(observe(g)) for g in groups]):
        for call, hidden_BTH in zip(calls[1:], hidden[1:], strict=True):
            with suppress(Reached):
                call.run(block, hidden_BTH)
    return groups


def _tokens(inputs: Tensor) -> Tensor:
    return inputs.reshape(-1, inputs.shape[-1])


def prepare(group: Group, method: Method, settings: Any) -> Any:
    """The method's `prepare` for a group; its ValueError names the layers."""
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
    """Prune a layer in place; its mask, and whether a surviving weight has a new value."""
    weight_OI = linear.weight.data
    version = weight_OI._version
    try:
        pair = method.prune(weight_OI, prepared, keep, settings)
        new_OI, mask_OI = _checked(pair, weight_OI, keep)
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from error
    new_OI = new_OI.to(weight_OI.dtype)
    # after an in-place change the old weight is gone
    is_new = weight_OI._version != version or bool(((new_OI != weight_OI) & mask_OI).any())
    weight_OI.copy_(new_OI.masked_fill(~mask_OI, 0))
    if not torch.isfinite(linear.weight).all():
        raise ValueError(f"{name}: a pruned weight is not finite")
    return mask_OI.cpu(), is_new


def _checked(pair: Any, weight_OI: Tensor, keep: int) -> tuple[Tensor, Tensor]:
    """What a method's `prune` returned. Raises ValueError where it is not as `Method` says."""
    if not isinstance(pair, tuple) or len(pair) != 2:
        raise ValueError("the method's `prune` must return a pair, the new weight and the mask")
    for tensor, name in zip(pair, ("weight", "mask"), strict=True):
        if tensor.shape != weight_OI.shape:
            raise ValueError(f"the {name} is {[*tensor.shape]}, not {[*weight_OI.shape]}")
    new_OI, mask_OI = pair
    if mask_OI.dtype != torch.bool:
        raise ValueError(f"the mask is {mask_OI.dtype}, not bool")
    if (kept := int(mask_OI.sum())) != keep:
        raise ValueError(f"the method kept {kept} of {mask_OI.numel()} weights, not {keep}")
    return new_OI, mask_OI
