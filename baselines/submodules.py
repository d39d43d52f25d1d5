"""Sub-modules of a decoder block that hold its prunable weights, such as attention and MLP."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call

from baselines.replay import Call, hooks, input_of
from leap.model.layers import linear_weights


@dataclass(frozen=True)
class Submodule:
    """A child of a block by its name in the model, and its linear layers by theirs.

    With `norm`, the norm before it by its name, the sub-module begins with the norm's input.
    """

    name: str
    module: nn.Module
    linears: Mapping[str, nn.Linear]
    norm_name: str = ""
    norm: nn.Module | None = None

    def parameters(self) -> dict[str, Tensor]:
        """Weights [O, I] by layer, and parameters of the norm by their names in the model."""
        named = self.norm.named_parameters(prefix=self.norm_name) if self.norm else ()
        return {**{name: linear.weight for name, linear in self.linears.items()}, **dict(named)}

    def with_weights(self, weights: Mapping[str, Tensor]) -> Callable[..., Any]:
        """The sub-module as a function, with these `parameters` in place of its own."""
        own = {
            f"{name}.weight".removeprefix(f"{self.name}."): weights[name]
            for name in weights
            if name in self.linears
        }
        norm, prefix = self.norm, f"{self.norm_name}."
        if norm is None:
            return lambda *args, **kwargs: functional_call(self.module, own, args, kwargs)
        of_norm = {n.removeprefix(prefix): weights[n] for n in weights if n not in self.linears}

        def run(*args: Any, **kwargs: Any) -> Any:
            if args:
                args = (functional_call(norm, of_norm, args[:1]), *args[1:])
            else:
                inputs = (kwargs["hidden_states"],)
                kwargs = {**kwargs, "hidden_states": functional_call(norm, of_norm, inputs)}
            return functional_call(self.module, own, args, kwargs)

        return run


@torch.no_grad()
def submodules(
    block: nn.Module, name: str, call: Call, hidden_BTH: Tensor, norms: bool = False
) -> list[Submodule]:
    """Children of the block `name` that hold linear layers, in execution order.

    With `norms`, each has the norm whose output is its input and no other one's. `call` and
    `hidden_BTH` belong to one batch. Raises ValueError where such a child does not run
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
    parts = [Submodule(f"{name}.{child}", children[child], found[child]) for child in order]
    if not norms:
        return parts
    before = _norms(block, children, call, hidden_BTH)
    return [
        replace(part, norm_name=f"{name}.{before[child]}", norm=getattr(block, before[child]))
        if child in before
        else part
        for child, part in zip(order, parts, strict=True)
    ]


def _norms(
    block: nn.Module, children: Mapping[str, nn.Module], call: Call, hidden_BTH: Tensor
) -> dict[str, str]:
    """The norm before each child, where it is before this child only."""
    outputs: list[tuple[str, Tensor]] = []
    before: dict[str, str] = {}

    def leaves(norm: str) -> Callable[..., None]:
        return lambda _, args, output: outputs.append((norm, output))

    def enters(child: str) -> Callable[..., None]:
        def hook(_: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
            given = input_of(args, kwargs)
            for norm in (norm for norm, output in outputs if output is given):
                before[child] = norm

        return hook

    handles = [
        child.register_forward_hook(leaves(name))
        for name, child in block.named_children()
        if (sizes := [p.ndim for p in child.parameters()]) and max(sizes) == 1
    ]
    handles += [
        child.register_forward_pre_hook(enters(name), with_kwargs=True)
        for name, child in children.items()
    ]
    with hooks(handles):
        call.run(block, hidden_BTH)
    several = {norm for norm in before.values() if list(before.values()).count(norm) > 1}
    return {child: norm for child, norm in before.items() if norm not in several}


def _linears(child: nn.Module, name: str) -> dict[str, nn.Linear]:
    """Linear layers of the child by name in the model; the child may be one itself."""
    named = child.named_modules(prefix=name)
    return {layer: module for layer, module in named if isinstance(module, nn.Linear)}
