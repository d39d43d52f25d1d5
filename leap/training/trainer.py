"""Training loop: data, gradients, optimiser, checkpoints, processes.

A `Learner` defines the learned parameters and their loss: masks of frozen weights
(`leap.training.masks`) or the weights themselves (`leap.training.weights`). Data are a function of
(seed, step, place in the batch), so a resumed or distributed training sees the same batches.

Axes: S sequences, B sequences of a micro-batch, T tokens.
"""

import math
import time
from collections.abc import Callable, Mapping
from typing import Protocol

import torch
from torch import Tensor, nn

from leap.distributed import parallel
from leap.distributed.rows import Split
from leap.settings import Steps
from leap.states.checkpoint import Checkpoints
from leap.states.folder import StateFolder
from leap.states.history import History
from leap.states.interruption import Interrupted, Stop
from leap.training.clipping import clip_gradients
from leap.training.data import moved, sequences
from leap.training.schedule import learning_rate

Report = Callable[[int, dict[str, float]], None]

_BETAS = (0.9, 0.95)


class Learner(Protocol):
    """Learned parameters and their loss.

    noun: what one learned number is called, `logit` or `weight`; states have them under its plural.
    learned: what the optimiser moves, by name.
    buffers: tensors without a gradient that belong to a state too, by kind, then as `learned`.
    splits: how all these are split over processes, if they are.
    terms: names of the values that a loss comes with. columns: of all metrics of a step.
    clips: what is clipped, the gradient of the `loss` or its `sum` with what `before_update` adds.
    remedy: what to do when the loss is not finite.
    """

    noun: str
    learned: dict[str, nn.Parameter]
    buffers: dict[str, dict[str, Tensor]]
    splits: dict[str, Split]
    terms: list[str]
    columns: list[str]
    clips: str
    remedy: str

    def loss(self, ids_BT: Tensor, step: int, first: int) -> tuple[Tensor, Tensor]:
        """Loss of a micro-batch and the values of `terms`, float64, detached.

        `first` is the place of its first sequence in the batch.
        """

    def before_update(self, step: int) -> dict[str, float]:
        """Add gradients that come once per step; return metrics of the step."""

    def after_update(self, step: int, optimiser: torch.optim.Optimizer) -> None:
        """Update whatever follows the optimiser's step."""


class Trainer:
    """Training of a learner: optimiser, metrics, checkpoints."""

    def __init__(
        self,
        learner: Learner,
        blocks_ST: Tensor,
        settings: Steps,
        micro_batch: int,
        sharded: bool,
        decay: str = "cosine",
        skipped: int = 0,
    ) -> None:
        """`skipped` are steps whose text an earlier part of the training has used."""
        self.learner = learner
        self.blocks_ST = blocks_ST
        self.settings = settings
        self.micro_batch = micro_batch
        self.sharded = sharded
        self.decay = decay
        self.skipped = skipped
        self.device = next(iter(learner.learned.values())).device
        self.optimiser = torch.optim.AdamW(
            learner.learned.values(),
            lr=settings.learning_rate, betas=_BETAS, weight_decay=settings.weight_decay, fused=True,
        )  # fmt: skip
        self.history = History(learner.columns, settings.steps)

    def run(
        self, states: StateFolder | None, save_seconds: float, stop: Stop, report: Report
    ) -> None:
        """Run all remaining steps, with periodic checkpoints."""
        learner = self.learner
        checkpoints = Checkpoints(
            states, learner.noun, learner.learned, learner.buffers, learner.splits, self.optimiser,
            self.history, save_seconds, self.sharded,
        )  # fmt: skip
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
        """Optimiser step; return its metrics, averaged over the micro-batches."""
        settings, learner, learned = self.settings, self.learner, self.learner.learned.values()
        schedule = settings.warmup_steps, step, settings.steps, self.decay
        rate = learning_rate(settings.learning_rate, *schedule)
        micro_batches = settings.batch // self.micro_batch
        # split gradients are averaged over the processes, whole ones added up
        scale = (parallel.world_size() if self.sharded else 1) / micro_batches
        total = torch.zeros(len(learner.terms), dtype=torch.float64, device=self.device)
        self.optimiser.zero_grad()
        for micro in range(parallel.rank(), micro_batches, parallel.world_size()):
            if parallel.any_process(stop.requested):
                checkpoints.save(step)
                raise Interrupted
            places = range(micro * self.micro_batch, (micro + 1) * self.micro_batch)
            ids_BT = moved(
                sequences(self.blocks_ST, settings, step + self.skipped, places), self.device
            )
            loss, values = learner.loss(ids_BT, step, places.start)
            (loss * scale).backward()
            total += values / micro_batches
        if not self.sharded:
            parallel.all_reduce_gradients(learned)
        first = self._clip() if learner.clips == "loss" else None
        of_the_step = learner.before_update(step)
        norm = self._clip() if first is None else first
        metrics = dict(
            zip(learner.terms, parallel.all_reduce(total).tolist(), strict=True),
            **of_the_step, learning_rate=rate, gradient_norm=float(norm),
        )  # fmt: skip
        self._refuse_non_finite(step, metrics)
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        self.optimiser.step()
        learner.after_update(step, self.optimiser)
        return metrics

    def _clip(self) -> Tensor:
        """Clip the gradient of everything learned; its norm before."""
        limit = self.settings.max_grad_norm
        return clip_gradients(self.learner.learned.values(), limit, self.sharded)

    def _refuse_non_finite(self, step: int, metrics: Mapping[str, float]) -> None:
        if not all(math.isfinite(value) for value in metrics.values()):
            raise ValueError(
                f"the loss is not finite at step {step} (LM loss {metrics['lm_loss']}): "
                f"{self.learner.remedy}; a saved state of an earlier step is kept"
            )
