"""The training: logits learned end to end on the language-modelling loss, weights frozen.

What the logits stand for is the parameterisation's business; LEAP's is the default. Everything
random is a function of (seed, step, micro-batch, layer), so a training that is taken up again, or
spread over processes, sees the same masks and the same data.

Axes: S sequences, B sequences of a micro-batch, T tokens, O outputs, I inputs, L prunable layers.
"""

import math
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from leap import parallel
from leap.checkpoint import Checkpoints, part_name
from leap.checks import check_training
from leap.clipping import clip_gradients
from leap.data import micro_batch, moved
from leap.finite import refuse_non_finite
from leap.gated import GatedLinear, gated, learned_logits, sums_of
from leap.history import History
from leap.interruption import Interrupted, Stop, listening
from leap.layers import decoder_blocks, prunable_linears
from leap.loss import lm_loss_of
from leap.objective import Objective
from leap.parameterisation import Learned, Parameterisation, load
from leap.relaxation import Relaxation
from leap.schedule import learning_rate, linear, progress
from leap.settings import Settings
from leap.state import StateFolder, fingerprint

Report = Callable[[int, dict[str, float]], None]

_BETAS = (0.9, 0.95)


def learn_masks(
    model: nn.Module,
    blocks_ST: Tensor,
    settings: Settings,
    prior: Mapping[str, Tensor] | None = None,
    *,
    parameterisation: Parameterisation | None = None,
    sparse: Mapping[str, Tensor] | None = None,
    state: Path | None = None,
    save_seconds: float = 60.0,
    report: Report = lambda step, values: None,
) -> Learned:
    """Learn which weights of a causal LM to keep; the model itself is left as it was.

    `blocks_ST` are training token ids. `prior` holds one-shot masks [O, I] (bool) by layer name,
    for the warm start; without it logits start at random. `parameterisation` says what is learned
    of a mask, LEAP's gates if not given; `sparse` holds the N:M masks of PATCH. `report(step,
    values)` is called after every step, also once more for the steps before an interruption.

    With `state` the training can be taken up again: its state is saved there, at least
    `save_seconds` apart and for at most 2 % of the time, and on SIGTERM (exit status 143). The
    caller deletes the folder when the result is safe. Under torchrun all processes take part,
    after `leap.parallel.start()`. With `sharding` the model may come on the CPU, where each process
    then needs room for all of it and its logits; it moves to the GPUs in parts and stays split.

    Raises ValueError for unusable settings or data, a loss that is not finite, and the state of
    another training.
    """
    parameterisation = parameterisation or load("leap").from_settings({})
    parameterisation.check(settings, sparse is not None)
    check_training(model, blocks_ST, settings, {"prior": prior, "N:M": sparse})
    states = None
    if state is not None:
        masks = {"prior": prior, "sparse": sparse}
        identity = fingerprint(model, blocks_ST, masks, settings, repr(parameterisation))
        states = StateFolder(state, identity, part_name(settings.sharding))
    shapes = {n: (x.out_features, x.in_features) for n, x in prunable_linears(model).items()}
    with listening() as stop:
        lm_loss = lm_loss_of(model)
        with gated(model, parameterisation, settings, prior, sparse) as gates:
            trainer = _Trainer(model, lm_loss, gates, blocks_ST, settings, states, save_seconds)
            trainer.run(stop, report)
            logits = {n: parallel.full_tensor(p.detach()).cpu() for n, p in trainer.logits.items()}
    for name, tensor in logits.items():
        refuse_non_finite(name, tensor)
    return Learned(logits, settings, parameterisation, shapes, sparse)


class _Trainer:
    """A model with gates, its loss, its optimiser, its metrics, and its states on disk."""

    def __init__(
        self,
        model: nn.Module,
        lm_loss: Callable[[Tensor], Tensor],
        gates: dict[str, GatedLinear],
        blocks_ST: Tensor,
        settings: Settings,
        states: StateFolder | None,
        save_seconds: float,
    ) -> None:
        self.model = model
        self.gates = gates
        self.blocks_ST = blocks_ST
        self.settings = settings
        self.sharded = parallel.shards(settings.sharding)
        prefix, blocks = decoder_blocks(model)
        block_L = [int(name.removeprefix(f"{prefix}.").split(".")[0]) for name in gates]
        self.objective = Objective(
            settings, {name: gate.linear.weight for name, gate in gates.items()}, block_L
        )
        if self.sharded:
            lm_loss = parallel.shard(model, blocks, lm_loss)
        self.lm_loss = lm_loss
        self.logits = learned_logits(gates)
        # where the model computes, which for a model that has just been split is not where it was
        self.device = parallel.to_local(next(iter(self.logits.values()))).device
        self.objective.to(self.device)
        self.optimiser = torch.optim.AdamW(
            self.logits.values(),
            lr=settings.learning_rate, betas=_BETAS, weight_decay=settings.weight_decay, fused=True,
        )  # fmt: skip
        self.history = History(gates, settings.steps)
        self.checkpoints = Checkpoints(
            states, self.logits, self.optimiser, self.history, save_seconds, self.sharded
        )

    def run(self, stop: Stop, report: Report) -> None:
        """Take every step that is left, saving the state now and then."""
        begin = self.checkpoints.restore()
        for step in range(begin):
            report(step, self.history.line(step))
        for step in range(begin, self.settings.steps):
            self.checkpoints.save_if_due(step)
            started = time.monotonic()
            metrics = self.step(step, stop)
            seconds = time.monotonic() - started
            speed = self.settings.batch * self.blocks_ST.shape[1] / seconds
            pace = {"tokens_per_second": speed, "seconds": seconds}
            self.history.write(step, {**metrics, **pace})
            report(step, self.history.line(step))

    def step(self, step: int, stop: Stop) -> dict[str, float]:
        """One step of the optimiser; its metrics, averaged over the micro-batches."""
        settings = self.settings
        relaxation, rate = _relaxation(settings, step), _rate(settings, step)
        micro_batches = settings.batch // settings.micro_batch
        # split gradients are averaged over the processes, whole ones added up
        scale = (parallel.world_size() if self.sharded else 1) / micro_batches
        total = torch.zeros(len(self.objective.names), dtype=torch.float64, device=self.device)
        self.optimiser.zero_grad()
        for micro in range(parallel.rank(), micro_batches, parallel.world_size()):
            if parallel.any_process(stop.requested):
                self.checkpoints.save(step)
                raise Interrupted
            ids_BT = moved(micro_batch(self.blocks_ST, settings, step, micro), self.device)
            for gate in self.gates.values():
                gate.redraw(relaxation, settings.seed, step, micro)
            lm_loss = self.lm_loss(ids_BT)
            kept_L, norm_L = sums_of(self.gates.values())
            loss, values = self.objective(lm_loss, kept_L, norm_L, progress(step, settings.steps))
            (loss * scale).backward()
            total += values / micro_batches
        if not self.sharded:
            parallel.all_reduce_gradients(self.logits.values())
        norm = clip_gradients(self.logits.values(), settings.max_grad_norm)
        metrics = dict(
            zip(self.objective.names, parallel.all_reduce(total).tolist(), strict=True),
            alpha=relaxation.alpha, tau=relaxation.tau, learning_rate=rate,
            gradient_norm=float(norm),
        )  # fmt: skip
        _refuse_non_finite_loss(step, metrics)
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        self.optimiser.step()
        return metrics


def _relaxation(settings: Settings, step: int) -> Relaxation:
    alpha, tau = (linear(ends, step, settings.steps) for ends in (settings.alpha, settings.tau))
    of_patterns = settings.pattern_alpha and linear(settings.pattern_alpha, step, settings.steps)
    return Relaxation(alpha, tau, settings.noise, settings.hard, of_patterns)


def _rate(settings: Settings, step: int) -> float:
    return learning_rate(settings.learning_rate, settings.warmup_steps, step, settings.steps)


def _refuse_non_finite_loss(step: int, metrics: Mapping[str, float]) -> None:
    if not all(math.isfinite(value) for value in metrics.values()):
        raise ValueError(
            f"the loss is not finite at step {step} (LM loss {metrics['lm_loss']}): lower "
            "learning_rate or raise the last tau; a saved state of an earlier step is kept"
        )
