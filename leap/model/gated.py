"""Model whose prunable layers multiply frozen weights by sampled masks."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from leap.distributed import parallel
from leap.distributed.rows import Rows, Split, gathered, summed
from leap.execution import Execution
from leap.methods.parameterisation import Draw, Parameterisation, Start, key
from leap.methods.relaxation import Relaxation
from leap.model.replaced import StandIn, replaced
from leap.seeds import noise_seed
from leap.settings import Settings
from leap.training.objective import NORMS

_SMALLEST_SQUARE = 1e-60  # whose root has a gradient


class GatedLinear(StandIn):
    """Linear layer with frozen weight and bias and the logits of its mask, by part.

    Before each forward pass `redraw` says how its mask is drawn; afterwards `sums` holds the sum
    of the mask and the norm of the masked weight, both part of the graph. With `rows` it has only
    these of the weight and of all that belongs to it, masks them alone, and puts the masked
    weights of all processes together.
    """

    sparse_OI: Tensor | None

    def __init__(
        self,
        linear: nn.Linear,
        logits: Mapping[str, Tensor],
        splits: Mapping[str, Split],
        sparse_OI: Tensor | None,
        rows: Rows | None,
        index: int,
        parameterisation: Parameterisation,
        options: tuple[str, bool],
    ) -> None:
        super().__init__(linear)
        self.logits = nn.ParameterDict(logits)
        # a buffer moves with the layer; no state dict needs it
        self.register_buffer("sparse_OI", sparse_OI, persistent=False)
        self.rows = rows
        self.splits = splits  # of the logits, by part
        self.split = Split(linear.out_features, parameterisation.row_block, linear.out_features)
        self.index = index
        self.parameterisation = parameterisation
        self.options = options  # the norm that the loss needs, and whether masks are drawn again
        self.draw: Draw | None = None
        self.sums: tuple[Tensor, Tensor] | None = None

    def redraw(self, relaxation: Relaxation, *place: int) -> None:
        """Sample a new mask in the next forward pass, seeded by the `place` in the training."""
        seed = noise_seed(*place, self.index)
        self.draw = Draw(relaxation, seed, *self.options, self.sparse_OI, self.rows)
        self.sums = None

    def forward(self, inputs: Tensor) -> Tensor:
        assert self.draw is not None, "redraw comes first"
        masked_OI, kept, norm = self.parameterisation.gate(
            dict(self.logits.items()), self.linear.weight, self.draw
        )
        if self.sums is None:  # checkpointing computes a block once more, with the same draw
            self.sums = kept, norm
        if self.rows is not None:
            masked_OI = gathered(masked_OI, self.split)
        return nn.functional.linear(inputs, masked_OI, self.linear.bias)


def sums_of(gates: Iterable[GatedLinear]) -> tuple[Tensor, Tensor]:
    """Sums of the masks [L] and norms of the masked weights [L] of the forward pass, float64."""
    gates = list(gates)
    pairs = [gate.sums for gate in gates]
    kept_L, norm_L = (torch.stack(values) for values in zip(*pairs, strict=True))
    if gates[0].rows is None:
        return kept_L, norm_L
    if gates[0].options[0] == "l2":
        return summed(kept_L), summed(norm_L.square()).clamp(min=_SMALLEST_SQUARE).sqrt()
    return summed(kept_L), summed(norm_L)


def learned_logits(gates: Mapping[str, GatedLinear]) -> dict[str, nn.Parameter]:
    """Learned logits by layer and part (see `leap.methods.parameterisation.key`)."""
    return {
        key(name, part): tensor
        for name, gate in gates.items()
        for part, tensor in gate.logits.items()
    }


def splits_of(gates: Mapping[str, GatedLinear]) -> dict[str, Split]:
    """Sharding of the logits, by the same keys."""
    return {
        key(name, part): split
        for name, gate in gates.items()
        for part, split in gate.splits.items()
    }


@contextmanager
def gated(
    model: nn.Module,
    parameterisation: Parameterisation,
    settings: Settings,
    execution: Execution,
    prior: Mapping[str, Tensor] | None,
    sparse: Mapping[str, Tensor] | None,
) -> Iterator[dict[str, GatedLinear]]:
    """Put gates on every prunable layer for the duration of the body, and freeze all else.

    `prior` and `sparse` are one-shot masks by layer (see `leap.learn_masks`), read layer by layer.
    With `checkpointing` a decoder block keeps its inputs only and
    is computed again in the backward pass. With `sharding` every layer is left with the rows of
    this process, also afterwards. Raises ValueError for masks that do not fit.
    """

    def build(name: str, linear: nn.Linear, index: int) -> GatedLinear:
        masks = (given[name] if given else None for given in (prior, sparse))
        return _gate(linear, index, parameterisation, settings, execution, *masks)

    with replaced(model, build, execution.checkpointing) as gates:
        yield gates


def _gate(
    linear: nn.Linear,
    index: int,
    parameterisation: Parameterisation,
    settings: Settings,
    execution: Execution,
    prior_OI: Tensor | None,
    sparse_OI: Tensor | None,
) -> GatedLinear:
    """Gated layer with initial logits on its device; only the rows of this process if sharded."""
    shape = linear.out_features, linear.in_features
    seed = noise_seed(settings.seed, -1, index)
    logits = parameterisation.first(Start(shape, settings, seed, prior_OI, sparse_OI))
    splits = {
        part: Split(shape[0], parameterisation.row_block, len(t)) for part, t in logits.items()
    }
    rows = None
    if parallel.shards(execution.sharding):
        rows = Split(shape[0], parameterisation.row_block, shape[0]).own_rows()
        own = slice(rows.first, rows.stop)
        logits = {part: tensor[splits[part].own()].clone() for part, tensor in logits.items()}
        linear.weight = nn.Parameter(linear.weight.detach()[own].clone(), requires_grad=False)
        sparse_OI = None if sparse_OI is None else sparse_OI[own].clone()
    device = linear.weight.device
    dtype = linear.weight.dtype if settings.logits_dtype == "model" else torch.float32
    placed = {part: tensor.to(device, dtype) for part, tensor in logits.items()}
    sparse_OI = None if sparse_OI is None else sparse_OI.to(device)
    options = NORMS[settings.magnitude], execution.recompute
    return GatedLinear(linear, placed, splits, sparse_OI, rows, index, parameterisation, options)
