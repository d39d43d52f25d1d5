"""Replay of decoder blocks one at a time, with the arguments that the model passed to each.

The intact model is run once per batch, and every argument of every block is recorded: masks,
rotary embeddings (which differ between the layers of some families), and whatever else a family
passes, so that no code depends on the family. A block is later called again with its recorded
arguments and other hidden states. The same holds for the modules inside a block.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class Call:
    """Arguments of a block, or of a module in it, for one batch, without the hidden states."""

    args: tuple[Any, ...]
    kwargs: dict[str, Any]

    def run(self, block: Callable[..., Any], hidden_BTH: Tensor) -> Tensor:
        """Output hidden states [B, T, H] of the block for these input hidden states."""
        if self.args:
            return _hidden_states(block(hidden_BTH, *self.args[1:], **self.kwargs))
        return _hidden_states(block(**{**self.kwargs, "hidden_states": hidden_BTH}))


@dataclass
class Recording:
    """Calls of every block (calls[block][batch]) and inputs of the first block by batch."""

    calls: list[list[Call]]
    hidden: list[Tensor]


@torch.no_grad()
def record(model: nn.Module, blocks: nn.ModuleList, batches: Sequence[Tensor]) -> Recording:
    """Record how `model` calls its `blocks` on `batches` of token ids [B, T].

    Only the first batch is computed in full: it shows the form of the blocks' outputs, and is
    compared with its replay. For the others only the arguments are recorded, and every block
    returns its input.

    Raises ValueError where the replay differs, as in a family whose blocks exchange anything but
    hidden states.
    """
    calls: list[list[Call]] = [[] for _ in blocks]
    inputs: list[Tensor] = []
    outputs: list[Any] = []

    def before(index: int) -> Callable[..., None]:
        def hook(_: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
            if index == 0:
                inputs.append(input_of(args, kwargs))
            calls[index].append(_without_hidden(args, kwargs, calls[index]))

        return hook

    handles = [
        b.register_forward_pre_hook(before(i), with_kwargs=True) for i, b in enumerate(blocks)
    ]
    with hooks(handles):
        with hooks(
            [b.register_forward_hook(lambda *call: outputs.append(call[-1])) for b in blocks]
        ):
            model(input_ids=batches[0], use_cache=False)
        with _passing_through(blocks, [isinstance(output, tuple) for output in outputs]):
            for batch in batches[1:]:
                model(input_ids=batch, use_cache=False)
    _check(blocks, calls, inputs[0], _hidden_states(outputs[-1]))
    return Recording(calls, inputs)


@torch.no_grad()
def record_inside(
    block: nn.Module, module: nn.Module, calls: Sequence[Call], hidden: Sequence[Tensor]
) -> tuple[list[Call], list[Tensor]]:
    """Calls of a module by its block, and the module's inputs by batch.

    The block is run with its `calls` on `hidden`, as far as the module.
    """
    inside: list[Call] = []
    inputs: list[Tensor] = []

    def before(_: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        inputs.append(input_of(args, kwargs))
        inside.append(_without_hidden(args, kwargs, inside))
        raise Reached

    with hooks([module.register_forward_pre_hook(before, with_kwargs=True)]):
        for call, hidden_BTH in zip(calls, hidden, strict=True):
            with suppress(Reached):
                call.run(block, hidden_BTH)
    return inside, inputs


class Reached(Exception):
    """Raised by a hook to skip the rest of a block."""


@torch.no_grad()
def record_outputs(
    block: nn.Module,
    modules: Mapping[str, nn.Module],
    calls: Sequence[Call],
    hidden: list[Tensor],
) -> dict[str, list[Tensor]]:
    """Outputs of modules of a block, by name and batch; `hidden` is replaced by the block's own.

    Each input is released as soon as its output exists.
    """
    outputs: dict[str, list[Tensor]] = {name: [] for name in modules}

    def after(name: str) -> Callable[..., None]:
        return lambda _, args, output: outputs[name].append(_hidden_states(output))

    with hooks([m.register_forward_hook(after(name)) for name, m in modules.items()]):
        for batch, call in enumerate(calls):
            hidden[batch] = call.run(block, hidden[batch])
    return outputs


@contextmanager
def hooks(handles: Sequence[Any]) -> Iterator[None]:
    """Remove these hooks at the end of the context."""
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


@contextmanager
def _passing_through(blocks: nn.ModuleList, tuples: Sequence[bool]) -> Iterator[None]:
    """Let every block return its input hidden states, as a tuple where it returns one."""
    for block, is_tuple in zip(blocks, tuples, strict=True):
        block.forward = lambda *args, _tuple=is_tuple, **kwargs: (
            (input_of(args, kwargs), None) if _tuple else input_of(args, kwargs)
        )
    try:
        yield
    finally:
        for block in blocks:
            del block.forward


def input_of(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Tensor:
    """The hidden states in a call of a block or of a module in it."""
    return args[0] if args else kwargs["hidden_states"]


def _hidden_states(output: Any) -> Tensor:
    return output[0] if isinstance(output, tuple) else output


def _without_hidden(args: tuple[Any, ...], kwargs: dict[str, Any], earlier: Sequence[Call]) -> Call:
    """The call without hidden states, sharing equal arguments with the first batch's call.

    Masks and rotary embeddings are mostly equal for all batches: shared, their memory does not
    grow with the number of batches.
    """
    args = (None, *args[1:]) if args else ()
    kwargs = {key: value for key, value in kwargs.items() if args or key != "hidden_states"}
    if not earlier:
        return Call(args, kwargs)
    return Call(_share(args, earlier[0].args), _share(kwargs, earlier[0].kwargs))


def _share(value: Any, earlier: Any) -> Any:
    if type(value) is not type(earlier):
        return value
    if isinstance(value, Tensor):
        same = value.shape == earlier.shape and torch.equal(value, earlier)
        return earlier if same else value
    if isinstance(value, dict):
        return {key: _share(item, earlier.get(key)) for key, item in value.items()}
    if type(value) is tuple and len(value) == len(earlier):
        return tuple(_share(item, before) for item, before in zip(value, earlier, strict=True))
    return value


def _check(
    blocks: nn.ModuleList, calls: Sequence[Sequence[Call]], hidden_BTH: Tensor, expected_BTH: Tensor
) -> None:
    for block, of_block in zip(blocks, calls, strict=True):
        hidden_BTH = of_block[0].run(block, hidden_BTH)
    tolerance = 1e-3 * float(expected_BTH.abs().max())
    if not torch.allclose(hidden_BTH, expected_BTH, rtol=1e-3, atol=tolerance):
        raise ValueError(
            f"blocks of type {type(blocks[0]).__name__}, run one at a time, do not compute the "
            "output of the whole model: this family cannot be pruned block by block"
        )
