"""The training: logits learned end to end on the language-modelling loss, weights frozen.

What the logits stand for is the parameterisation's business; LEAP's is the default. Everything
random is a function of (seed, step, draw, layer), so a training that is taken up again, or spread
over processes, sees the same masks and the same data.

Axes: S sequences, B sequences of a micro-batch, T tokens, O outputs, I inputs, L prunable layers.
"""

import math
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from leap import parallel
from leap.checkpoint import Checkpoints
from leap.checks import check_training
from leap.clipping import clip_gradients
from leap.data import moved, sequences
from leap.execution import Execution, micro_batch_of
from leap.finite import refuse_non_finite
from leap.gated import GatedLinear, gated, learned_logits, splits_of, sums_of
from leap.history import History
from leap.interruption import Interrupted, Stop, listening
from leap.layers import decoder_blocks, prunable_linears
from leap.loss import lm_loss_of
from leap.objective import Objective
from leap.parameterisation import Learned, Parameterisation, load
from leap.relaxation import Relaxation
from leap.rows import collected
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
    execution: Execution | None = None,
    state: Path | None = None,
    save_seconds: float = 60.0,
    report: Report = lambda step, values: None,
) -> Learned:
    """Learn which weights of a causal LM to keep; the model itself is left as it was.

    `blocks_ST` are training token ids. `prior` holds one-shot masks [O, I] (bool) by layer name,
    for the warm start; without it logits start at random. `parameterisation` says what is learned
    of a mask, LEAP's gates if not given; `sparse` holds the N:M masks of PATCH. Masks of either
    kind are asked for layer by layer. `execution` says how all that is computed. `report(step,
    values)` is called after every step, also once more for the steps before an interruption.

    With `state` the training can be taken up again, also under another `execution`: its state is
    saved there, at least `save_seconds` apart and for at most 2 % of the time, and on SIGTERM (exit
    status 143). The caller deletes the folder when the result is safe.

    Under torchrun all processes take part, after `leap.parallel.start()`, and the first one has the
    result. With `sharding` each of them loads the model where it computes, and the model's prunable
    layers are left with the rows of their process.

    Raises ValueError for unusable settings or data, a loss that is not finite, and the state of
    another training.
    """
    parameterisation = parameterisation or load("leap").from_settings({})
    execution = execution or Execution()
    parameterisation.check(settings, sparse is not None)
    check_training(model, blocks_ST, {"prior": prior, "N:M": sparse})
    micro_batch = micro_batch_of(execution, settings, parallel.world_size())
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
            trainer = _Trainer(lm_loss, gates, objective, blocks_ST, settings, micro_batch, sharded)
            checkpoints = Checkpoints(
                states, trainer.logits, splits_of(gates), trainer.optimiser, trainer.history,
                save_seconds, sharded,
            )  # fmt: skip
            trainer.run(checkpoints, stop, report)
            logits = trainer.result()
    for name, tensor in logits.items():
        refuse_non_finite(name, tensor)
    return Learned(logits, settings, parameterisation, shapes, sparse)


class _Trainer:
    """A model's gates, its loss, its optimiser, its metrics, and its states on disk."""

    def __init__(
        self,
        lm_loss: Callable[[Tensor], Tensor],
        gates: dict[str, GatedLinear],
        objective: Objective,
        blocks_ST: Tensor,
        settings: Settings,
        micro_batch: int,
        sharded: bool,
    ) -> None:
        self.lm_loss = lm_loss
        self.gates = gates
        self.blocks_ST = blocks_ST
        self.settings = settings
        self.micro_batch = micro_batch
        self.sharded = sharded
        self.logits = learned_logits(gates)
        self.device = next(iter(self.logits.values())).device
        self.objective = objective
        self.objective.to(self.device)
        self.optimiser = torch.optim.AdamW(
            self.logits.values(),
            lr=settings.learning_rate, betas=_BETAS, weight_decay=settings.weight_decay, fused=True,
        )  # fmt: skip
        self.history = History(gates, settings.steps)

    def run(self, checkpoints: Checkpoints, stop: Stop, report: Report) -> None:
        """Take every step that is left, saving the state now and then."""
        begin = checkpoints.restore()
        for step in range(begin):
            report(step, self.history.line(step))
        for step in range(begin, self.settings.steps):
            checkpoints.save_if_due(step)
            started = time.monotonic()
            metrics = self.step(step, stop, checkpoints)
            seconds = time.monotonic() - started
            speed = self.settings.batch * self.blocks_ST.shape[1] / seconds
            pace = {"tokens_per_second": speed, "seconds": seconds}
            self.history.write(step, {**metrics, **pace})
            report(step, self.history.line(step))

    def step(self, step: int, stop: Stop, checkpoints: Checkpoints) -> dict[str, float]:
        """One step of the optimiser; its metrics, averaged over the micro-batches."""
        settings = self.settings
        relaxation, rate = _relaxation(settings, step), _rate(settings, step)
        micro_batches = settings.batch // self.micro_batch
        # split gradients are averaged over the processes, whole ones added up
        scale = (parallel.world_size() if self.sharded else 1) / micro_batches
        total = torch.zeros(len(self.objective.names), dtype=torch.float64, device=self.device)
        self.optimiser.zero_grad()
        for micro in range(parallel.rank(), micro_batches, parallel.world_size()):
            if parallel.any_process(stop.requested):
                checkpoints.save(step)
                raise Interrupted
            places = range(micro * self.micro_batch, (micro + 1) * self.micro_batch)
            ids_BT = moved(sequences(self.blocks_ST, settings, step, places), self.device)
            for gate in self.gates.values():
                draw = places.start // settings.sequences_per_draw
                gate.redraw(relaxation, settings.seed, step, draw)
            lm_loss = self.lm_loss(ids_BT)
            kept_L, norm_L = sums_of(self.gates.values())
            loss, values = self.objective(lm_loss, kept_L, norm_L, progress(step, settings.steps))
            (loss * scale).backward()
            total += values / micro_batches
        if not self.sharded:
            parallel.all_reduce_gradients(self.logits.values())
        norm = clip_gradients(self.logits.values(), settings.max_grad_norm, self.sharded)
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

    def result(self) -> dict[str, Tensor]:
        """The logits, float32 on the CPU, in the first process; nothing in the others."""
        splits = splits_of(self.gates)
        result = {}
        for name, logits in self.logits.items():
            whole = collected(logits, splits[name]) if self.sharded else logits.detach()
            if whole is not None and parallel.rank() == 0:
                result[name] = whole.cpu().float()
        return result


def _objective(model: nn.Module, settings: Settings) -> Objective:
    """The loss of a model whose weights are still whole."""
    weights = {name: linear.weight for name, linear in prunable_linears(model).items()}
    prefix, _ = decoder_blocks(model)
    block_L = [int(name.removeprefix(f"{prefix}.").split(".")[0]) for name in weights]
    return Objective(settings, weights, block_L)


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
