"""A model whose prunable layers multiply their frozen weights by freshly drawn masks."""

import hashlib
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from leap.gates import Relaxation
from leap.layers import decoder_blocks, prunable_linears
from leap.parameterisations import Draw, Parameterisation


@dataclass
class Drawing:
    """What all gates of a model share while one micro-batch goes through it.

    Gates note their sums and norms while `recording`, not when checkpointing runs them once more.
    """

    parameterisation: Parameterisation
    relaxation: Relaxation
    norm: str
    recompute: bool
    key: tuple[int, ...] = ()
    recording: bool = True


class GatedLinear(nn.Module):
    """A linear layer with the logits of its mask, by part; weight and bias stay frozen.

    After a forward pass `kept` is the sum of the mask and `norm` the norm of the masked weight,
    both part of the graph.
    """

    def __init__(
        self,
        linear: nn.Linear,
        logits: dict[str, Tensor],
        sparse_OI: Tensor | None,
        index: int,
        drawing: Drawing,
    ) -> None:
        super().__init__()
        self.linear = linear
        self.logits = nn.ParameterDict(logits)
        self.sparse_OI = sparse_OI
        self.index = index
        self.drawing = drawing
        self.kept = self.norm = torch.zeros(())

    def forward(self, inputs: Tensor) -> Tensor:
        drawing = self.drawing
        seed = noise_seed(*drawing.key, self.index)
        options = drawing.relaxation, seed, drawing.norm, drawing.recompute
        masked_OI, kept, norm = drawing.parameterisation.gate(
            dict(self.logits.items()), self.linear.weight, Draw(*options, self.sparse_OI)
        )
        if drawing.recording:
            self.kept, self.norm = kept, norm
        return nn.functional.linear(inputs, masked_OI, self.linear.bias)


def noise_seed(*key: int) -> int:
    """A generator's seed from integers, well spread: equal keys, equal noise, on any process."""
    digest = hashlib.blake2b(struct.pack(f"<{len(key)}q", *key), digest_size=8).digest()
    return int.from_bytes(digest, "little") >> 1


@contextmanager
def gated(
    model: nn.Module,
    first: Callable[[int, str], tuple[dict[str, Tensor], Tensor | None]],
    drawing: Drawing,
    checkpointing: bool,
) -> Iterator[dict[str, GatedLinear]]:
    """Put gates on every prunable layer for the duration of the body, and freeze all else.

    `first(index, name)` gives the float32 logits that a layer begins with, by part, and
    its fixed N:M mask [O, I] if it has one. With `checkpointing` a decoder block keeps its inputs
    only and is computed again in the backward pass.
    """
    linears = prunable_linears(model)
    blocks = decoder_blocks(model)[1]
    # names, not tensors: whoever splits the model over processes replaces its tensors
    trainable = [name for name, p in model.named_parameters() if p.requires_grad]
    modes = {module: module.training for module in model.modules()}
    gates: dict[str, GatedLinear] = {}
    try:
        model.eval().requires_grad_(False)
        for index, name in enumerate(list(linears)):
            linear = linears.pop(name)
            logits, sparse_OI = first(index, name)
            device = linear.weight.device
            logits = {part: tensor.to(device) for part, tensor in logits.items()}
            if sparse_OI is not None:
                sparse_OI = sparse_OI.to(device)
            gates[name] = GatedLinear(linear, logits, sparse_OI, index, drawing)
            model.set_submodule(name, gates[name])
        for block in blocks if checkpointing else []:
            block.forward = partial(checkpoint, block.forward, use_reentrant=False)
        yield gates
    finally:
        for block in blocks if checkpointing else []:
            block.__dict__.pop("forward", None)
        for name, gate_module in gates.items():
            model.set_submodule(name, gate_module.linear)
        for name in trainable:
            model.get_parameter(name).requires_grad_(True)
        for module, mode in modes.items():
            module.training = mode
