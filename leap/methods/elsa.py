"""ELSA: weights trained end to end, pulled towards a sparse copy by ADMM.

After "The Unseen Frontier: Pushing the Limits of LLM Sparsity with Surrogate-Free ADMM" (Lee et al.
2025, arXiv 2510.01650): ADMM on the language-modelling loss, without a layer-wise surrogate. Every
prunable weight w has a sparse copy z and a scaled dual u:

    start:                    z = project(w), u = 0
    every step:               Adam on w, with the gradient of the loss plus penalty * (w - z + u)
    every `interval` steps:   z = project(w + u), u = u + (w - z)
    end:                      w = project(w)

The projection keeps the largest weights of each layer, exactly as many as `leap.budget` says.
Written from what is known of the method; its public code was not read. Ours, where that is silent:

- only prunable weights are trained; embeddings, head, norms and biases are frozen;
- learning-rate schedule (warm-up, cosine), betas and averaging are the same as for LEAP
  (`leap.training.trainer`), and gradient clipping includes the penalty's gradient;
- the score of the projection `moment`, see `_score`.

Axes: S sequences, B sequences of a micro-batch, T tokens, O outputs, I inputs, R rows of a process.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from leap.budget import layer_survivors
from leap.checks import check_training, refuse_non_finite
from leap.distributed import parallel
from leap.distributed.rows import Split, collected, gathered
from leap.distributed.topk import largest
from leap.execution import Execution, micro_batch_of
from leap.model.layers import prunable_linears
from leap.model.loss import lm_loss_of
from leap.model.replaced import StandIn, replaced
from leap.settings import refuse_unusable, step_checks
from leap.states.folder import StateFolder, fingerprint
from leap.states.interruption import listening
from leap.training.trainer import Report, Trainer

PROJECTIONS = ("magnitude", "moment")

_METRICS = ["lm_loss", "penalty_term", "primal_residual", "learning_rate", "gradient_norm",
            "tokens_per_second", "seconds"]  # fmt: skip


@dataclass(frozen=True)
class Settings:
    """Training settings; defaults are the paper's for LLaMA-2-7B where published.

    sparsity: fraction of each layer's weights to remove.
    steps, batch: optimiser steps, and sequences a step over all processes.
    learning_rate, warmup_steps, weight_decay, max_grad_norm: as `leap.settings.Settings` has them.
    penalty: lambda, which draws the weights to their sparse copy.
    interval: steps from one projection to the next.
    projection: what is kept: the largest weights (`magnitude`), or those whose loss costs most by
        Adam's second moment (`moment`).
    seed: of the order of the data.
    """

    sparsity: float
    steps: int = 4096
    batch: int = 8
    learning_rate: float = 2e-4
    warmup_steps: int = 5
    weight_decay: float = 0.0
    max_grad_norm: float = 0.0
    penalty: float = 0.01
    interval: int = 32
    projection: str = "magnitude"
    seed: int = 0

    def __post_init__(self) -> None:
        refuse_unusable(
            self,
            {
                **step_checks(self),
                "batch": (self.batch >= 1, "at least 1"),
                "penalty": (self.penalty >= 0, "at least 0"),
                "interval": (self.interval >= 1, "at least 1"),
                "projection": (self.projection in PROJECTIONS, f"one of {', '.join(PROJECTIONS)}"),
            },
        )


@dataclass(frozen=True)
class SparseWeights:
    """Weights [O, I] in the model's dtype and bool masks by layer, in model order, on the CPU.

    Weights outside the masks (bool) are zero. Of several processes only the first one has it.
    """

    weights: Mapping[str, Tensor]
    masks: Mapping[str, Tensor]


def learn_weights(
    model: nn.Module,
    blocks_ST: Tensor,
    settings: Settings,
    *,
    execution: Execution | None = None,
    state: Path | None = None,
    save_seconds: float = 60.0,
    report: Report = lambda step, values: None,
) -> SparseWeights:
    """Train a causal LM's prunable weights to exact sparsity.

    `blocks_ST` are training token ids. The model itself is trained: in the end its prunable weights
    are the result, with sharding the rows of this process; after an error they are of no use.
    States, several processes, `report` and errors are as for `leap.training.masks.learn_masks`.
    """
    execution = execution or Execution()
    check_training(model, blocks_ST, {})
    micro_batch = micro_batch_of(execution, parallel.world_size(), settings.batch)
    states = None
    if state is not None:
        states = StateFolder(state, fingerprint(model, blocks_ST, {}, settings, "elsa weights"))
    sizes = {name: linear.weight.numel() for name, linear in prunable_linears(model).items()}
    keep = layer_survivors(sizes, settings.sparsity)
    sharded = parallel.shards(execution.sharding)
    with listening() as stop:
        lm_loss = lm_loss_of(model)

        def build(name: str, linear: nn.Linear, index: int) -> _TrainedLinear:
            return _TrainedLinear(linear, sharded)

        with replaced(model, build, execution.checkpointing) as layers:
            weights = _Weights(lm_loss, layers, settings, keep, sharded)
            trainer = Trainer(weights, blocks_ST, settings, micro_batch, sharded)
            trainer.run(states, save_seconds, stop, report)
            return weights.finish(trainer.optimiser)


class _TrainedLinear(StandIn):
    """Linear layer with a trained float32 master weight, multiplied in the layer's own dtype.

    With `sharded` it has its process' rows of the weight only, and puts them together for use.
    """

    def __init__(self, linear: nn.Linear, sharded: bool) -> None:
        super().__init__(linear)
        self.split = Split(linear.out_features, 1, linear.out_features)
        self.sharded = sharded
        self.dtype = linear.weight.dtype
        weight_RI = linear.weight.detach()
        if sharded:
            weight_RI = weight_RI[self.split.own()].clone()
        linear.weight = self.weight = nn.Parameter(weight_RI.float())

    def forward(self, inputs: Tensor) -> Tensor:
        weight_OI = self.weight.to(self.dtype)
        if self.sharded:
            weight_OI = gathered(weight_OI, self.split)
        return nn.functional.linear(inputs, weight_OI, self.linear.bias)


class _Weights:
    """Prunable weights with sparse copies and duals (a `leap.training.trainer.Learner`)."""

    noun = "weight"
    remedy = "lower learning_rate or penalty"

    def __init__(
        self,
        lm_loss: Callable[[Tensor], Tensor],
        layers: dict[str, _TrainedLinear],
        settings: Settings,
        keep: Mapping[str, int],
        sharded: bool,
    ) -> None:
        self.lm_loss = lm_loss
        self.layers = layers
        self.settings = settings
        self.keep = keep
        self.sharded = sharded
        self.learned = {name: layer.weight for name, layer in layers.items()}
        self.splits = {name: layer.split for name, layer in layers.items()}
        self.z = {name: weight.detach().clone() for name, weight in self.learned.items()}
        self.u = {name: torch.zeros_like(z) for name, z in self.z.items()}
        self.buffers = {"z": self.z, "u": self.u}
        self.terms, self.columns = ["lm_loss"], _METRICS
        for name, z_RI in self.z.items():  # by magnitude: there is no second moment yet
            z_RI.masked_fill_(~largest(z_RI.abs(), keep[name], sharded), 0)

    def loss(self, ids_BT: Tensor, step: int, first: int) -> tuple[Tensor, Tensor]:
        """LM loss; the penalty's gradient is added once per step."""
        loss = self.lm_loss(ids_BT)
        return loss, loss.detach().double()[None]

    @torch.no_grad()
    def before_update(self, step: int) -> dict[str, float]:
        """Add the gradient of penalty / 2 * ||w - z + u||^2; return penalty and primal residual.

        The primal residual is ||w - z|| / ||w||, taken over all layers.
        """
        penalty = self.settings.penalty
        sums = torch.zeros(3, dtype=torch.float64, device=next(iter(self.z.values())).device)
        for name, weight_RI in self.learned.items():
            distance_RI = weight_RI - self.z[name]
            squares = [_square(distance_RI), _square(weight_RI)]
            distance_RI += self.u[name]
            assert weight_RI.grad is not None
            weight_RI.grad.add_(distance_RI, alpha=penalty)
            sums += torch.stack([*squares, _square(distance_RI)])
        residual, size, distance = (parallel.all_reduce(sums) if self.sharded else sums).tolist()
        return {
            "penalty_term": penalty / 2 * distance,
            "primal_residual": (residual / size) ** 0.5,
        }

    @torch.no_grad()
    def after_update(self, step: int, optimiser: torch.optim.Optimizer) -> None:
        """Every `interval` steps: z = project(w + u), u = u + (w - z)."""
        if (step + 1) % self.settings.interval:
            return
        for name, weight_RI in self.learned.items():
            z_RI, u_RI = self.z[name], self.u[name]
            u_RI += weight_RI  # from here on w + u, which z gets one part of, and u the other
            mask_RI = self._mask(name, u_RI, optimiser)
            z_RI.copy_(u_RI).masked_fill_(~mask_RI, 0)
            u_RI.masked_fill_(mask_RI, 0)

    @torch.no_grad()
    def finish(self, optimiser: torch.optim.Optimizer) -> SparseWeights:
        """Set w = project(w), also in the model, in its dtype; the result is on rank 0."""
        optimiser.zero_grad()  # with z and u this makes room for the result
        self.z.clear()
        self.u.clear()
        weights, masks = {}, {}
        for name, layer in self.layers.items():
            refuse_non_finite(name, layer.weight, self.noun)
            mask_RI = self._mask(name, layer.weight, optimiser)
            sparse_RI = layer.weight.masked_fill(~mask_RI, 0).to(layer.dtype)
            layer.linear.weight = nn.Parameter(sparse_RI, requires_grad=False)
            whole = [self._whole(name, part_RI) for part_RI in (sparse_RI, mask_RI.byte())]
            if parallel.rank() == 0:
                weights[name], masks[name] = whole[0], whole[1].bool()
        return SparseWeights(weights, masks)

    def _mask(self, name: str, value_RI: Tensor, optimiser: torch.optim.Optimizer) -> Tensor:
        moment_RI = None
        if self.settings.projection == "moment":
            moment_RI = optimiser.state[self.learned[name]]["exp_avg_sq"]
        return largest(_score(value_RI, moment_RI), self.keep[name], self.sharded)

    def _whole(self, name: str, part_RI: Tensor) -> Tensor:
        whole = collected(part_RI, self.splits[name]) if self.sharded else part_RI.cpu()
        return torch.empty(0) if whole is None else whole


def _score(value_RI: Tensor, moment_RI: Tensor | None) -> Tensor:
    """Score of each value by the increase of the loss without it, up to monotone maps.

    By magnitude |x|. With Adam's second moment v it is sqrt(v) * |x|, in the order of v * x^2: to
    second order the loss rises by h * x^2 / 2 when x is set to zero, and v, a running mean of
    squared gradients, stands for the diagonal h of the Hessian, as the diagonal Fisher information
    does. That the projection takes Adam's second moment to know the objective is the paper's; how
    is worked out here. Adam's correction of v for its start is one factor for all and left out; v
    is that of all that Adam sees, the penalty's part included.
    """
    score_RI = value_RI.abs()
    return score_RI if moment_RI is None else score_RI.mul_(moment_RI.sqrt())


def _square(tensor: Tensor) -> Tensor:
    return torch.linalg.vector_norm(tensor).double().square()
