"""Sub-modules of a decoder block that hold its prunable weights, such as attention and MLP."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call

from baselines.replay import Call, hooks
from leap.model.layers import linear_weights


@dataclass(frozen=True)
class Submodule:
    """A child of a block by its name in the model, and its linear layers by theirs."""

    name: str
    module: nn.Module
    linears: Mapping[str, nn.Linear]

    def with_weights(self, weights: Mapping[str, Tensor]) -> Callable[..., Any]:
        """The sub-module as a function, with these weights [O, I] by layer in place of its own."""
        own = {f"{name}.weight".removeprefix(f"{self.name}."): weights[name] for name in weights}
        return lambda *args, **kwargs: functional_call(self.module, own, args, kwargs)


@torch.no_grad()
def submodules(block: nn.Module, name: str, call: Call, hidden_BTH: Tensor) -> list[Submodule]:
    """Children of the block `name` that hold linear layers, in execution order.

    `call` and `hidden_BTH` belong to one batch. Raises ValueError where such a child does not run
    once, or one of its layers does not see every token once, as in mixtures of experts.
    """
    children = {n: child for n, child in block.named_children() if linear_weights(child)}
    found = {n: _linears(child, f"{name}.{n}") for n, child in children.items()}
    order: list[str] = []
    tokens: dict[str, int] = {}

    def runs(child: str) -> Callable[..., None]:
        return lambda *_: order.append(child)

    def sees(layer: str) -> Callable[..., None]:
        def hook(_: nn.Module, args: tuple[Tensor, ...]) -> None:
            tokens[layer] = tokens.get(layer, 0) + args[0].shape[:-1].numel()

        return hook

    handles = [child.register_forward_pre_hook(runs(n)) for n, child in children.items()]
    for linears in found.values():
        handles += [m.register_forward_pre_hook(sees(n)) for n, m in linears.items()]
    with hooks(handles):
        call.run(block, hidden_BTH)
    every = hidden_BTH.shape[:-1].numel()
    layers = [layer for linears in found.values() for layer in linears]
    wrong = [f"{name}.{child}" for child in children if order.count(child) != 1]
    wrong = wrong or [layer for layer in layers if tokens.get(layer) != every]
    if wrong:
        raise ValueError(
            f"{wrong[0]} does not run exactly once on every token: blocks of type "
            f"{type(block).__name__}, such as mixtures of experts, cannot be reconstructed"
        )
    return [Submodule(f"{name}.{child}", children[child], found[child]) for child in order]


def _linears(child: nn.Module, name: str) -> dict[str, nn.Linear]:
    """Linear layers of the child by name in the model; the child may be one itself."""
    named = child.named_modules(prefix=name)
    return {layer: module for layer, module in named if isinstance(module, nn.Linear)}
