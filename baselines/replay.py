"""Running a model's decoder blocks one at a time, on the very arguments the model gave them.

The intact model is run once a batch, and every argument that reaches a block is recorded, whole
and per block: masks, rotary embeddings (which differ between the layers of some families),
whatever a family passes. Nothing about a family has to be known. A block is later called again
with its own recorded arguments and other hidden states. The same holds for the modules in a block.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class Call:
    """Arguments of one block, or of a module in it, for one batch, without its hidden states."""

    args: tuple[Any, ...]
    kwargs: dict[str, Any]

    def run(self, block: Callable[..., Any], hidden_BTH: Tensor) -> Tensor:
        """The block's output hidden states [B, T, H] for these input hidden states."""
        if self.args:
            return _hidden_states(block(hidden_BTH, *self.args[1:], **self.kwargs))
        return _hidden_states(block(**{**self.kwargs, "hidden_states": hidden_BTH}))


@dataclass
class Recording:
    """The calls of every block (calls[block][batch]) and the first block's inputs by batch."""

    calls: list[list[Call]]
    hidden: list[Tensor]


@torch.no_grad()
def record(model: nn.Module, blocks: nn.ModuleList, batches: Sequence[Tensor]) -> Recording:
    """Record how `model` calls its `blocks` on `batches` of token ids [B, T].

    Only the first batch is computed in full: it shows what the blocks return, and it is used to
    check that replaying the calls gives exactly what the model computes. For the others the
    blocks hand their input on, since only their arguments are wanted.

    Raises ValueError where the replay differs, as it would for a family whose blocks speak to
    each other in another way than through the hidden states.
    """
    calls: list[list[Call]] = [[] for _ in blocks]
    inputs: list[Tensor] = []
    outputs: list[Any] = [None] * len(blocks)

    def watch(index: int, block: nn.Module) -> list[Any]:
        def before(_: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
            hidden = args[0] if args else kwargs["hidden_states"]
            if index == 0:
                inputs.append(hidden)
            first = calls[index][0] if calls[index] else None
            calls[index].append(_without_hidden(args, kwargs, first))

        def after(_: nn.Module, args: Any, output: Any) -> None:
            if outputs[index] is None:
                outputs[index] = output

        return [
            block.register_forward_pre_hook(before, with_kwargs=True),
            block.register_forward_hook(after),
        ]

    with _hooks([hook for index, block in enumerate(blocks) for hook in watch(index, block)]):
        model(input_ids=batches[0], use_cache=False)
        with _passing_through(blocks, [isinstance(output, tuple) for output in outputs]):
            for batch in batches[1:]:
                model(input_ids=batch, use_cache=False)
    recording = Recording(calls, inputs)
    _check(recording, blocks, _hidden_states(outputs[-1]))
    return recording


@torch.no_grad()
def record_inside(
    block: nn.Module, module: nn.Module, calls: Sequence[Call], hidden: Sequence[Tensor]
) -> tuple[list[Call], list[Tensor]]:
    """How a block calls one of its modules: those calls, and the module's own inputs by batch.

    The block itself is run with its `calls` on `hidden`, each time as far as the module.
    """
    inside: list[Call] = []
    inputs: list[Tensor] = []

    def before(_: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        inputs.append(args[0] if args else kwargs["hidden_states"])
        inside.append(_without_hidden(args, kwargs, inside[0] if inside else None))
        raise _Reached

    with _hooks([module.register_forward_pre_hook(before, with_kwargs=True)]):
        for call, hidden_BTH in zip(calls, hidden, strict=True):
            with suppress(_Reached):
                call.run(block, hidden_BTH)
    return inside, inputs


class _Reached(Exception):
    """What a block has been run for is known: the rest of it need not be computed."""


@torch.no_grad()
def record_outputs(
    block: nn.Module,
    modules: Mapping[str, nn.Module],
    calls: Sequence[Call],
    hidden: list[Tensor],
) -> dict[str, list[Tensor]]:
    """What modules of a block put out, by name and batch.

    What the block itself puts out takes the place of its inputs in `hidden`.
    """
    outputs: dict[str, list[Tensor]] = {name: [] for name in modules}

    def watch(name: str, module: nn.Module) -> Any:
        def after(_: nn.Module, args: Any, output: Any) -> None:
            outputs[name].append(_hidden_states(output))

        return module.register_forward_hook(after)

    with _hooks([watch(name, module) for name, module in modules.items()]):
        for batch, call in enumerate(calls):
            hidden[batch] = call.run(block, hidden[batch])
    return outputs


@contextmanager
def _hooks(handles: list[Any]) -> Iterator[None]:
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


class _passing_through:
    """Within this context every block returns its input hidden states, in its own form."""

    def __init__(self, blocks: nn.ModuleList, tuples: list[bool]) -> None:
        self.blocks = blocks
        self.tuples = tuples

    def __enter__(self) -> None:
        for block, is_tuple in zip(self.blocks, self.tuples, strict=True):
            block.forward = _hand_on_tuple if is_tuple else _hand_on

    def __exit__(self, *error: object) -> None:
        for block in self.blocks:
            del block.forward


def _hand_on(*args: Any, **kwargs: Any) -> Tensor:
    return args[0] if args else kwargs["hidden_states"]


def _hand_on_tuple(*args: Any, **kwargs: Any) -> tuple[Tensor, None]:
    return _hand_on(*args, **kwargs), None


def _hidden_states(output: Any) -> Tensor:
    return output[0] if isinstance(output, tuple) else output


def _without_hidden(args: tuple[Any, ...], kwargs: dict[str, Any], first: Call | None) -> Call:
    """The call without its hidden states, sharing what is equal in the first batch's call.

    All batches have one shape, so masks and rotary embeddings are mostly the same values: shared,
    their memory does not grow with the number of batches.
    """
    args = (None, *args[1:]) if args else ()
    kwargs = {key: value for key, value in kwargs.items() if args or key != "hidden_states"}
    if first is None:
        return Call(args, kwargs)
    return Call(_share(args, first.args), _share(kwargs, first.kwargs))


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


def _check(recording: Recording, blocks: nn.ModuleList, expected_BTH: Tensor) -> None:
    hidden = recording.hidden[0]
    for block, calls in zip(blocks, recording.calls, strict=True):
        hidden = calls[0].run(block, hidden)
    tolerance = 1e-3 * float(expected_BTH.abs().max())
    if not torch.allclose(hidden, expected_BTH, rtol=1e-3, atol=tolerance):
        raise ValueError(
            f"the blocks of type {type(blocks[0]).__name__}, run one at a time, do not give what "
            "the whole model computes: this family cannot be pruned block by block"
        )
