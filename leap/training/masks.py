"""Mask training: logits learned end to end on the language-modelling loss, weights frozen.

The loop is in `leap.training.trainer`, the gates are in `leap.methods` (LEAP's by default). Noise
is a function of (seed, step, draw, layer), so a resumed or distributed training draws the same
masks.

Axes: S sequences, B sequences of a micro-batch, T tokens, O outputs, I inputs, L prunable layers.
"""

from collections.abc import Callable, Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from leap.bar import progress_bar
from leap.checks import check_training, refuse_non_finite
from leap.distributed import parallel
from leap.distributed.rows import collected
from leap.execution import Execution, micro_batch_of
from leap.methods.parameterisation import Learned, Parameterisation, load
from leap.methods.relaxation import Relaxation
from leap.model.gated import GatedLinear, gated, learned_logits, splits_of, sums_of
from leap.model.layers import block_index, decoder_blocks, prunable_linears
from leap.model.loss import lm_loss_of
from leap.settings import Settings
from leap.states.folder import StateFolder, fingerprint
from leap.states.interruption import listening
from leap.training.objective import Objective
from leap.training.schedule import linear, progress
from leap.training.trainer import Report, Trainer

METRICS = (
    "loss", "lm_loss", "density_term", "magnitude_term", "density", "alpha", "tau",
    "learning_rate", "gradient_norm", "tokens_per_second", "seconds",
)  # fmt: skip


def learn_masks(
    model: nn.Module,
    blocks_ST: Tensor,
    settings: Settings,
    prior: Mapping[str, Tensor] | None = None,
    *,
    parameterisation: Parameterisation | None = None,
    sparse: Mapping[str, Tensor] | None = None,
    execution: Execution | None = None,
    state: Path | None = None,
    save_seconds: float = 60.0,
    report: Report | None = None,
) -> Learned:
    """Learn masks for the prunable weights of a causal LM, which is left unchanged.

    `blocks_ST` are training token ids. `prior` holds one-shot masks [O, I] (bool) by layer name for
    the warm start; without it logits start at random. `sparse` holds PATCH's N:M masks. Both are
    read layer by layer. `parameterisation` is the method, LEAP if not given; `execution` has the
    settings of memory and time. `report(step, values)` is called after every step, and after
    resuming once more for each earlier step; without it there is a progress bar.

    With `state` an interrupted training resumes, also under another `execution`: its state is saved
    there, at least `save_seconds` apart and for at most 2 % of the time, and on SIGTERM (exit
    status 143). The caller deletes the folder when the result is safe.

    Under torchrun all processes take part, after `leap.distributed.parallel.start()`, and rank 0
    has the result. With `sharding` each process loads the model onto its device, and the model's
    prunable layers are left with the rows of their process.

    Raises ValueError for unusable settings or data, a non-finite loss, and the state of another
    training.
    """
    parameterisation = parameterisation or load("leap").from_settings({})
    execution = execution or Execution()
    parameterisation.check(settings, sparse is not None)
    check_training(model, blocks_ST, {"prior": prior, "N:M": sparse})
    shared, processes = settings.sequences_per_draw, parallel.world_size()
    micro_batch = micro_batch_of(execution, processes, settings.batch, shared)
    states = None
    if state is not None:
        masks = {"prior": prior, "sparse": sparse}
        identity = fingerprint(model, blocks_ST, masks, settings, repr(parameterisation))
        states = StateFolder(state, identity)
    shapes = {n: (x.out_features, x.in_features) for n, x in prunable_linears(model).items()}
    sharded = parallel.shards(execution.sharding)
    with listening() as stop:
        lm_loss, objective = lm_loss_of(model), _objective(model, settings)
        with gated(model, parameterisation, settings, execution, prior, sparse) as gates:
            masks_learned = _Masks(lm_loss, gates, objective, settings)
            trainer = Trainer(masks_learned, blocks_ST, settings, micro_batch, sharded)
            trainer.run(states, save_seconds, stop, report or progress_bar(settings.steps))
            logits = _result(masks_learned, sharded)
    for name, tensor in logits.items():
        refuse_non_finite(name, tensor)
    return Learned(logits, settings, parameterisation, shapes, sparse)


class _Masks:
    """Gates of a model with their loss (a `leap.training.trainer.Learner`)."""

    noun = "logit"
    clips = "sum"
    remedy = "lower learning_rate or raise the last tau"

    def __init__(
        self,
        lm_loss: Callable[[Tensor], Tensor],
        gates: dict[str, GatedLinear],
        objective: Objective,
        settings: Settings,
    ) -> None:
        self.lm_loss = lm_loss
        self.gates = gates
        self.settings = settings
        self.learned = learned_logits(gates)
        self.buffers: dict[str, dict[str, Tensor]] = {}
        self.splits = splits_of(gates)
        self.objective = objective
        self.objective.to(next(iter(self.learned.values())).device)
        self.terms = objective.names
        self.columns = [*METRICS, *(f"density/{name}" for name in gates)]

    def loss(self, ids_BT: Tensor, step: int, first: int) -> tuple[Tensor, Tensor]:
        """Loss under masks of the draw that the first sequence belongs to."""
        settings, relaxation = self.settings, _relaxation(self.settings, step)
        for gate in self.gates.values():
            gate.redraw(relaxation, settings.seed, step, first // settings.sequences_per_draw)
        lm_loss = self.lm_loss(ids_BT)
        kept_L, norm_L = sums_of(self.gates.values())
        return self.objective(lm_loss, kept_L, norm_L, progress(step, settings.steps))

    def before_update(self, step: int) -> dict[str, float]:
        """Return the values of the schedules; gradients are unchanged."""
        relaxation = _relaxation(self.settings, step)
        return {"alpha": relaxation.alpha, "tau": relaxation.tau}

    def after_update(self, step: int, optimiser: torch.optim.Optimizer) -> None:
        """Do nothing: there is no state besides the logits."""


def _result(masks: _Masks, sharded: bool) -> dict[str, Tensor]:
    """Logits, float32 on the CPU, on rank 0; empty on other ranks."""
    result = {}
    for name, logits in masks.learned.items():
        whole = collected(logits, masks.splits[name]) if sharded else logits.detach()
        if whole is not None and parallel.rank() == 0:
            result[name] = whole.cpu().float()
    return result


def _objective(model: nn.Module, settings: Settings) -> Objective:
    """Training objective of a model, from its unsharded weights."""
    weights = {name: linear.weight for name, linear in prunable_linears(model).items()}
    prefix, _ = decoder_blocks(model)
    block_L = [block_index(name, prefix) for name in weights]
    return Objective(settings, weights, block_L)


def _relaxation(settings: Settings, step: int) -> Relaxation:
    alpha, tau = (linear(ends, step, settings.steps) for ends in (settings.alpha, settings.tau))
    of_patterns = settings.pattern_alpha and linear(settings.pattern_alpha, step, settings.steps)
    return Relaxation(alpha, tau, settings.noise, settings.hard, of_patterns)
