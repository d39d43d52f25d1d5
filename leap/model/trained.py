"""Model whose weights are trained: float32 master weights behind weights in the model's dtype.

Axes: O outputs, I inputs, R rows of a process.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from leap.distributed.rows import Split, gathered
from leap.model.replaced import StandIn, replaced


class TrainedLinear(StandIn):
    """Linear layer with a trained float32 master weight, multiplied in the layer's own dtype.

    `mask_RI` removes weights in the forward pass and lets their gradient through (straight-through
    estimator). `dense_RI` is the weight that `dense_weights` multiplies with. With `sharded` all
    have the rows of this process only, and are put together for use.
    """

    def __init__(self, linear: nn.Linear, sharded: bool) -> None:
        super().__init__(linear)
        self.split = Split(linear.out_features, 1, linear.out_features)
        self.sharded = sharded
        self.dtype = linear.weight.dtype
        self.mask_RI: Tensor | None = None
        self.dense_RI: Tensor | None = None
        self.is_dense = False
        self.weight = nn.Parameter(self.own(linear.weight.detach()).float())
        linear.weight = self.weight

    def own(self, whole_OI: Tensor) -> Tensor:
        """Rows of this process, on the device of the layer."""
        part = whole_OI[self.split.own()].clone() if self.sharded else whole_OI
        return part.to(self.linear.weight.device)

    def forward(self, inputs: Tensor) -> Tensor:
        weight_OI: Tensor = self.weight
        if self.is_dense:
            assert self.dense_RI is not None
            weight_OI = self.dense_RI
        elif self.mask_RI is not None:
            weight_OI = _Masked.apply(weight_OI, self.mask_RI)
        weight_OI = weight_OI.to(self.dtype)
        if self.sharded:
            weight_OI = gathered(weight_OI, self.split)
        return nn.functional.linear(inputs, weight_OI, self.linear.bias)


class _Masked(torch.autograd.Function):
    """Weights with zeros outside the mask; the gradient is that of all weights."""

    @staticmethod
    def forward(ctx: Any, weight_RI: Tensor, mask_RI: Tensor) -> Tensor:
        return weight_RI.masked_fill(~mask_RI, 0)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        return grads[0], None


@contextmanager
def dense_weights(layers: Mapping[str, TrainedLinear]) -> Iterator[None]:
    """Multiply with the layers' `dense_RI`, without gradients, during the body."""
    with torch.no_grad():
        for layer in layers.values():
            layer.is_dense = True
        try:
            yield
        finally:
            for layer in layers.values():
                layer.is_dense = False


@contextmanager
def trained_linears(
    model: nn.Module, sharded: bool, checkpointing: bool
) -> Iterator[dict[str, TrainedLinear]]:
    """Train every prunable layer's weight during the body; all else is frozen."""

    def build(name: str, linear: nn.Linear, index: int) -> TrainedLinear:
        return TrainedLinear(linear, sharded)

    with replaced(model, build, checkpointing) as layers:
        yield layers


class _Rounded(nn.Module):
    """A parameter in the model's dtype, of a float32 master or of this process' rows of it."""

    def __init__(self, dtype: torch.dtype, split: Split, sharded: bool) -> None:
        super().__init__()
        self.dtype = dtype
        self.split = split
        self.sharded = sharded

    def forward(self, master: Tensor) -> Tensor:
        rounded = master.to(self.dtype)
        return gathered(rounded, self.split) if self.sharded else rounded


@contextmanager
def trained_others(
    model: nn.Module, layers: Mapping[str, TrainedLinear], sharded: bool
) -> Iterator[tuple[dict[str, nn.Parameter], dict[str, Split]]]:
    """Train all parameters but the weights of `layers`: embedding, head, norms and biases.

    Yields float32 masters by parameter name, tied parameters once, and their sharding. Afterwards
    the model has the trained parameters in its own dtype.
    """
    places = _places(model, layers)
    masters, splits = dict[str, nn.Parameter](), dict[str, Split]()
    for name, owners in places.items():
        parameter = owners[0][0].get_parameter(owners[0][1])
        splits[name] = Split(len(parameter), 1, len(parameter))
        whole = parameter.detach()
        part = whole[splits[name].own()] if sharded else whole
        masters[name] = nn.Parameter(part.float().clone())
        for module, attribute in owners:
            setattr(module, attribute, masters[name])
            rounded = _Rounded(parameter.dtype, splits[name], sharded)
            parametrize.register_parametrization(module, attribute, rounded, unsafe=True)
    final: dict[str, nn.Parameter] = {}
    try:
        yield masters, splits
        with torch.no_grad():
            for name, [(module, attribute), *_] in places.items():
                value = getattr(module, attribute).clone()
                final[name] = nn.Parameter(value, requires_grad=False)
    finally:
        for name, owners in places.items():
            masters[name].requires_grad_(False)
            for module, attribute in owners:
                parametrize.remove_parametrizations(module, attribute, leave_parametrized=False)
                setattr(module, attribute, final.get(name, masters[name]))


def _places(
    model: nn.Module, layers: Mapping[str, TrainedLinear]
) -> dict[str, list[tuple[nn.Module, str]]]:
    """Modules and attributes of all other parameters, by name in the model without `layers`."""
    weights = {id(layer.weight) for layer in layers.values()}
    names, places = dict[int, str](), dict[str, list[tuple[nn.Module, str]]]()
    for path, parameter in model.named_parameters(remove_duplicate=False):
        if id(parameter) not in weights:
            parent, _, attribute = path.rpartition(".")
            owner = parent.removesuffix(".linear")
            name = f"{owner if owner in layers else parent}.{attribute}".removeprefix(".")
            name = names.setdefault(id(parameter), name)
            places.setdefault(name, []).append((model.get_submodule(parent), attribute))
    return places
