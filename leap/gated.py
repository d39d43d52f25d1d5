"""A model whose prunable layers multiply their frozen weights by freshly drawn masks."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from leap.layers import decoder_blocks, prunable_linears
from leap.objective import NORMS
from leap.parameterisation import Draw, Parameterisation, Start, key
from leap.relaxation import Relaxation
from leap.seeds import noise_seed
from leap.settings import Settings


class GatedLinear(nn.Module):
    """A linear layer with the logits of its mask, by part; weight and bias stay frozen.

    Before each forward pass `redraw` says how its mask is drawn; afterwards `sums` holds the sum
    of the mask and the norm of the masked weight, both part of the graph.
    """

    sparse_OI: Tensor | None

    def __init__(
        self,
        linear: nn.Linear,
        logits: Mapping[str, Tensor],
        sparse_OI: Tensor | None,
        index: int,
        parameterisation: Parameterisation,
        settings: Settings,
    ) -> None:
        super().__init__()
        self.linear = linear
        self.logits = nn.ParameterDict(logits)
        # a buffer moves with the layer; no state dict needs it
        self.register_buffer("sparse_OI", sparse_OI, persistent=False)
        self.index = index
        self.parameterisation = parameterisation
        self.options = NORMS[settings.magnitude], settings.recompute
        self.draw: Draw | None = None
        self.sums: tuple[Tensor, Tensor] | None = None

    def redraw(self, relaxation: Relaxation, *place: int) -> None:
        """Draw another mask in the next forward pass, from the `place` in the training."""
        seed = noise_seed(*place, self.index)
        self.draw = Draw(relaxation, seed, *self.options, self.sparse_OI)
        self.sums = None

    def forward(self, inputs: Tensor) -> Tensor:
        assert self.draw is not None, "redraw comes first"
        masked_OI, kept, norm = self.parameterisation.gate(
            dict(self.logits.items()), self.linear.weight, self.draw
        )
        if self.sums is None:  # checkpointing computes a block once more, with the same draw
            self.sums = kept, norm
        return nn.functional.linear(inputs, masked_OI, self.linear.bias)


def sums_of(gates: Iterable[GatedLinear]) -> tuple[Tensor, Tensor]:
    """Sums of the masks [L] and norms of the masked weights [L] of the forward pass, float64."""
    pairs = [gate.sums for gate in gates]
    kept_L, norm_L = (torch.stack(values) for values in zip(*pairs, strict=True))
    return kept_L, norm_L


def learned_logits(gates: Mapping[str, GatedLinear]) -> dict[str, nn.Parameter]:
    """All that is learned, by layer and part, see `leap.parameterisation.key`."""
    return {
        key(name, part): tensor
        for name, gate in gates.items()
        for part, tensor in gate.logits.items()
    }


@contextmanager
def gated(
    model: nn.Module,
    parameterisation: Parameterisation,
    settings: Settings,
    prior: Mapping[str, Tensor] | None,
    sparse: Mapping[str, Tensor] | None,
) -> Iterator[dict[str, GatedLinear]]:
    """Put gates on every prunable layer for the duration of the body, and freeze all else.

    `prior` and `sparse` are one-shot masks by layer (see `leap.training.learn_masks`). With
    `settings.checkpointing` a decoder block keeps its inputs only and is computed again in the
    backward pass. Raises ValueError for masks that do not fit.
    """
    linears = prunable_linears(model)
    blocks = list(decoder_blocks(model)[1]) if settings.checkpointing else []
    # names, not tensors: whoever splits the model over processes replaces its tensors
    trainable = [name for name, p in model.named_parameters() if p.requires_grad]
    modes = {module: module.training for module in model.modules()}
    gates: dict[str, GatedLinear] = {}
    try:
        model.eval().requires_grad_(False)
        for index, name in enumerate(list(linears)):
            linear = linears.pop(name)
            prior_OI, sparse_OI = (given[name] if given else None for given in (prior, sparse))
            seed = noise_seed(settings.seed, -1, index)
            shape = linear.out_features, linear.in_features
            logits = parameterisation.first(Start(shape, settings, seed, prior_OI, sparse_OI))
            device = linear.weight.device
            logits = {part: tensor.to(device) for part, tensor in logits.items()}
            if sparse_OI is not None:
                sparse_OI = sparse_OI.to(device)
            gates[name] = GatedLinear(linear, logits, sparse_OI, index, parameterisation, settings)
            model.set_submodule(name, gates[name])
        for block in blocks:
            block.forward = partial(checkpoint, block.forward, use_reentrant=False)
        yield gates
    finally:
        for block in blocks:
            block.__dict__.pop("forward", None)
        for name, gate_module in gates.items():
            model.set_submodule(name, gate_module.linear)
        for name in trainable:
            model.get_parameter(name).requires_grad_(True)
        for module, mode in modes.items():
            module.training = mode
