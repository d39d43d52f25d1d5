"""Temporary replacement of a model's prunable layers during training."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import TypeVar

from torch import nn
from torch.utils.checkpoint import checkpoint

from leap.model.layers import decoder_blocks, prunable_linears


class StandIn(nn.Module):
    """Replacement of a linear layer, which it holds."""

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        self.linear = linear


Layer = TypeVar("Layer", bound=StandIn)


@contextmanager
def replaced(
    model: nn.Module, build: Callable[[str, nn.Linear, int], Layer], checkpointing: bool
) -> Iterator[dict[str, Layer]]:
    """Replace every prunable layer by `build(name, linear, index)` during the body.

    All else is frozen. Each is built when its turn comes; what it stands in for is put back. With
    `checkpointing` a decoder block keeps its inputs only and is computed again in the backward
    pass.
    """
    linears = prunable_linears(model)
    blocks = list(decoder_blocks(model)[1]) if checkpointing else []
    # names, not tensors: splitting replaces a layer's weight
    trainable = [name for name, p in model.named_parameters() if p.requires_grad]
    modes = {module: module.training for module in model.modules()}
    layers: dict[str, Layer] = {}
    try:
        model.eval().requires_grad_(False)
        for index, name in enumerate(list(linears)):
            layers[name] = build(name, linears.pop(name), index)
            model.set_submodule(name, layers[name])
        for block in blocks:
            block.forward = partial(checkpoint, block.forward, use_reentrant=False)
        yield layers
    finally:
        for block in blocks:
            block.__dict__.pop("forward", None)
        for name, layer in layers.items():
            model.set_submodule(name, layer.linear)
        for name in trainable:
            model.get_parameter(name).requires_grad_(True)
        for module, mode in modes.items():
            module.training = mode
