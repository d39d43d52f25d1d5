"""Weight training: prunable weights learned end to end to an exact sparsity, with their mask.

The loop is in `leap.training.trainer`; a method in `leap.methods` is a learner of this module's
`Weights`: what is added to gradients, when masks change, which mask is the result.

Axes: S sequences, B sequences of a micro-batch, T tokens, O outputs, I inputs, R rows of a process.
"""

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from leap.budget import layer_survivors
from leap.checks import check_training, refuse_non_finite
from leap.distributed import parallel
from leap.distributed.rows import Split, collected
from leap.distributed.topk import largest
from leap.execution import Execution, micro_batch_of
from leap.model.trained import TrainedLinear, trained_linears, trained_others
from leap.states.folder import StateFolder, fingerprint
from leap.states.interruption import listening
from leap.training.trainer import Learner, Report, Trainer

CURVES = ("learning_rate", "gradient_norm", "tokens_per_second", "seconds")

Masks = Mapping[str, Tensor]


@dataclass(frozen=True)
class SparseWeights:
    """Weights [O, I] in the model's dtype and bool masks by layer, in model order, on the CPU.

    Weights outside the masks are zero. `others` are further parameters that were trained, by name.
    Of several processes only the first one has the result.
    """

    weights: Mapping[str, Tensor]
    masks: Masks
    others: Mapping[str, Tensor] = field(default_factory=dict)


@dataclass(frozen=True)
class How:
    """Everything about a training but its text and method: see `leap.training.masks.learn_masks`.

    decay: of the learning rate after the warm-up, `cosine` or `linear`. skipped: steps of the same
    size whose text an earlier part of the training has used.
    """

    execution: Execution | None = None
    state: Path | None = None
    save_seconds: float = 60.0
    report: Report = lambda step, values: None
    decay: str = "cosine"
    skipped: int = 0


@dataclass(frozen=True)
class Weights:
    """Trained weights of a model, by layer, and parameters trained beside them, by name."""

    layers: Mapping[str, TrainedLinear]
    others: Mapping[str, nn.Parameter]
    splits: Mapping[str, Split]
    sharded: bool

    @property
    def prunable(self) -> dict[str, nn.Parameter]:
        """Weights [R, I] by layer."""
        return {name: layer.weight for name, layer in self.layers.items()}

    def budget(self, sparsity: float) -> dict[str, int]:
        """Survivors of each layer (`leap.budget`)."""
        sizes = {n: x.linear.out_features * x.linear.in_features for n, x in self.layers.items()}
        return layer_survivors(sizes, sparsity)

    def largest(self, score_RI: Tensor, keep: int) -> Tensor:
        """Mask [R, I] of a layer's `keep` largest scores."""
        return largest(score_RI, keep, self.sharded)


class WeightLearner(Learner, Protocol):
    """A learner of weights."""

    def final_mask(self, name: str, optimiser: torch.optim.Optimizer) -> Tensor:
        """Bool mask [R, I] of a layer's weights, at the end."""


def train_weights(
    model: nn.Module,
    blocks_ST: Tensor,
    settings: Any,
    learner: Callable[[Weights], WeightLearner],
    identity: str,
    how: How,
    *,
    given: Mapping[str, Masks | None] | None = None,
    everything: bool = False,
) -> SparseWeights:
    """Train a causal LM's prunable weights, and with `everything` all its parameters.

    `blocks_ST` are training token ids, `settings` the dataclass of the method, with the fields of
    `leap.settings.Steps`, `given` masks by kind that decide the result; `identity` names the
    method. The model itself is trained: in the end its prunable weights are the result, with
    sharding the rows of this process; after an error they are of no use. States, several processes,
    `report` and errors are as for `leap.training.masks.learn_masks`.
    """
    execution = how.execution or Execution()
    check_training(model, blocks_ST, {})
    micro_batch = micro_batch_of(execution, parallel.world_size(), settings.batch)
    states = None
    if how.state is not None:
        known = fingerprint(model, blocks_ST, given or {}, settings, identity)
        states = StateFolder(how.state, known)
    sharded = parallel.shards(execution.sharding)
    with ExitStack() as stack:
        stop = stack.enter_context(listening())
        layers = stack.enter_context(trained_linears(model, sharded, execution.checkpointing))
        others, splits = dict[str, nn.Parameter](), {n: x.split for n, x in layers.items()}
        if everything:
            others, of_others = stack.enter_context(trained_others(model, layers, sharded))
            splits |= of_others
        weights = Weights(layers, others, splits, sharded)
        learning = learner(weights)
        data = blocks_ST, settings, micro_batch
        trainer = Trainer(learning, *data, sharded, how.decay, how.skipped)
        trainer.run(states, how.save_seconds, stop, how.report)
        found = _result(learning, weights, trainer.optimiser)
    if parallel.rank() > 0:
        return SparseWeights({}, {})
    trained = {name: model.get_parameter(name).detach().cpu() for name in others}
    return SparseWeights(*found, trained)


@torch.no_grad()
def _result(
    learner: WeightLearner, weights: Weights, optimiser: torch.optim.Optimizer
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Set the weights outside the final masks to zero, also in the model; both on rank 0."""
    optimiser.zero_grad()  # this and the buffers make room for the result
    for name, learned in learner.learned.items():
        refuse_non_finite(name, learned, learner.noun)
    masks_RI = {name: learner.final_mask(name, optimiser) for name in weights.layers}
    for buffers in learner.buffers.values():
        buffers.clear()
    found, masks = {}, {}
    for name, layer in weights.layers.items():
        sparse_RI = layer.weight.masked_fill(~masks_RI[name], 0).to(layer.dtype)
        layer.linear.weight = nn.Parameter(sparse_RI, requires_grad=False)
        whole = [_whole(layer, part_RI) for part_RI in (sparse_RI, masks_RI.pop(name).byte())]
        if parallel.rank() == 0:
            found[name], masks[name] = whole[0], whole[1].bool()
    return found, masks


def _whole(layer: TrainedLinear, part_RI: Tensor) -> Tensor:
    whole = collected(part_RI, layer.split) if layer.sharded else part_RI.cpu()
    return torch.empty(0) if whole is None else whole
