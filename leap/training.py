"""The training: logits learned end to end on the language-modelling loss, weights frozen.

What the logits stand for is the parameterisation's business; LEAP's is the default. Everything
random is a function of (seed, step, micro-batch, layer), so a training that is taken up again, or
spread over processes, sees the same masks and the same data.

Axes: S sequences, T tokens, O outputs, I inputs, L prunable layers.
"""

import math
import time
from collections.abc import Callable, Mapping
from functools import lru_cache
from pathlib import Path

import torch
from torch import Tensor, nn

from leap import parallel
from leap.gated import Drawing, GatedLinear, gated, noise_seed
from leap.gates import Relaxation
from leap.interruption import Interrupted, Stop, listening
from leap.layers import decoder_blocks, prunable_linears
from leap.objective import density_term, magnitude_term
from leap.parameterisations import Learned, Parameterisation, Start, Weights, key
from leap.schedule import learning_rate, linear, progress
from leap.settings import Settings
from leap.state import StateFolder, fingerprint

Report = Callable[[int, dict[str, float]], None]

_BETAS = (0.9, 0.95)
_SAVING_SHARE = 0.02  # of the time
_MOMENTS = ("exp_avg", "exp_avg_sq")
_NORMS = {"norm_ratio": "l2", "l1": "l1", "none": "none"}
_SCALARS = (
    "loss", "lm_loss", "density_term", "magnitude_term", "density", "alpha", "tau",
    "learning_rate", "tokens_per_second", "seconds",
)  # fmt: skip


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
    parameterisation = parameterisation or Weights()
    parameterisation.check(settings, sparse is not None)
    _check(model, blocks_ST, settings, {"prior": prior, "N:M": sparse})
    part = (
        f"{parallel.rank()}-of-{parallel.processes()}"
        if parallel.splits(settings.sharding)
        else "whole"
    )
    states = None
    if state is not None:
        masks = {"prior": prior, "sparse": sparse}
        identity = fingerprint(model, blocks_ST, masks, settings, repr(parameterisation))
        states = StateFolder(state, identity, part)
    shapes = {n: (x.out_features, x.in_features) for n, x in prunable_linears(model).items()}

    def first(index: int, name: str) -> tuple[dict[str, Tensor], Tensor | None]:
        prior_OI, sparse_OI = (given[name] if given else None for given in (prior, sparse))
        seed = noise_seed(settings.seed, -1, index)
        start = Start(shapes[name], settings, seed, prior_OI, sparse_OI)
        return parameterisation.first(start), sparse_OI

    norm = _NORMS[settings.magnitude]
    drawing = Drawing(parameterisation, Relaxation(1.0, 1.0), norm, settings.recompute)
    with gated(model, first, drawing, settings.checkpointing) as gates, listening() as stop:
        training = _Training(model, gates, drawing, blocks_ST, settings)
        _run(training, states, save_seconds, stop, report)
        logits = {n: parallel.whole(p.detach()).cpu() for n, p in training.logits().items()}
    for name, tensor in logits.items():
        _refuse_non_finite(name, tensor)
    return Learned(logits, settings, parameterisation, shapes, sparse)


def apply_masks(model: nn.Module, masks: Mapping[str, Tensor]) -> None:
    """Set the weights outside the masks to zero, in place."""
    with torch.no_grad():
        for name, linear_layer in prunable_linears(model).items():
            linear_layer.weight.masked_fill_(~masks[name].to(linear_layer.weight.device), 0)


class _Training:
    """A model with gates, its optimiser, and the metrics of every step so far."""

    def __init__(
        self,
        model: nn.Module,
        gates: dict[str, GatedLinear],
        drawing: Drawing,
        blocks_ST: Tensor,
        settings: Settings,
    ) -> None:
        self.model = model
        self.gates = gates
        self.drawing = drawing
        self.blocks_ST = blocks_ST
        self.settings = settings
        prefix, blocks = decoder_blocks(model)
        self.block_L = [int(name.removeprefix(f"{prefix}.").split(".")[0]) for name in gates]
        sizes = [gate.linear.weight.numel() for gate in gates.values()]
        order = 1 if drawing.norm == "l1" else 2
        norms = [
            float(torch.linalg.vector_norm(gate.linear.weight.detach().float(), ord=order))
            for gate in gates.values()
        ]
        if parallel.splits(settings.sharding):
            parallel.shard(model, blocks)
        # where the model computes, which for a model that has just been split is not where it was
        self.device = parallel.local(next(iter(self.logits().values()))).device
        self.size_L = torch.tensor(sizes, dtype=torch.float64, device=self.device)
        self.weight_norm_L = torch.tensor(norms, dtype=torch.float64, device=self.device)
        self.optimiser = torch.optim.AdamW(
            self.logits().values(),
            lr=settings.learning_rate, betas=_BETAS, weight_decay=settings.weight_decay, fused=True,
        )  # fmt: skip
        self.columns = [*_SCALARS, *(f"density/{name}" for name in gates)]
        self.history = torch.zeros(settings.steps, len(self.columns), dtype=torch.float64)

    def logits(self) -> dict[str, nn.Parameter]:
        """All that is learned, by layer and part; looked up anew, since splitting replaces it."""
        return {
            key(name, part): tensor
            for name, gate in self.gates.items()
            for part, tensor in gate.logits.items()
        }

    def metrics(self, step: int) -> dict[str, float]:
        """The metrics of a step that has been taken, by name."""
        return dict(zip(self.columns, self.history[step].tolist(), strict=True))


def _run(
    training: _Training,
    states: StateFolder | None,
    save_seconds: float,
    stop: Stop,
    report: Report,
) -> None:
    """Take every step that is left, saving the state now and then."""
    begin = _restore(training, states) if states else 0
    for step in range(begin):
        report(step, training.metrics(step))
    saved, cost = time.monotonic(), 0.0
    for step in range(begin, training.settings.steps):
        started = time.monotonic()
        due = states is not None and started - saved >= max(save_seconds, cost / _SAVING_SHARE)
        if step > begin and parallel.anywhere(due, training.device):
            _save(training, states, step)
            saved = time.monotonic()
            cost, started = saved - started, saved
        values = _gradients(training, step, stop)
        if values is None:
            _save(training, states, step)
            raise Interrupted
        _update(training, step, values, started)
        report(step, training.metrics(step))


def _gradients(training: _Training, step: int, stop: Stop) -> list[float] | None:
    """Gradients of one step's loss over all processes, and its metrics; None when stopped.

    Metrics are the loss and its three terms, the whole density and each layer's, averaged over
    the micro-batches.
    """
    settings, drawing = training.settings, training.drawing
    ratio = progress(step, settings.steps)
    alpha, tau = (linear(e, step, settings.steps) for e in (settings.alpha, settings.tau))
    drawing.relaxation = Relaxation(alpha, tau, settings.noise, settings.hard)
    micro_batches = settings.batch // settings.micro_batch
    training.optimiser.zero_grad()
    total = torch.zeros(5 + len(training.gates), dtype=torch.float64, device=training.device)
    for micro in range(parallel.rank(), micro_batches, parallel.processes()):
        if parallel.anywhere(stop.requested, training.device):
            return None
        drawing.key = (settings.seed, step, micro)
        loss, values = _loss(training, _tokens(training, step, micro), ratio)
        # split gradients are averaged over the processes, whole ones added up
        copies = parallel.processes() if parallel.splits(settings.sharding) else 1
        (loss * (copies / micro_batches)).backward()
        total += values / micro_batches
    if not parallel.splits(settings.sharding):
        parallel.add_up_gradients(training.logits().values())
    return parallel.add_up(total).tolist()


def _loss(training: _Training, ids_BT: Tensor, ratio: float) -> tuple[Tensor, Tensor]:
    """The loss of one micro-batch under freshly drawn masks, and its metrics."""
    settings, gates = training.settings, training.gates.values()
    training.drawing.recording = True
    lm_loss = training.model(input_ids=ids_BT, labels=ids_BT, use_cache=False).loss
    training.drawing.recording = False
    kept_L = torch.stack([gate.kept for gate in gates])
    density = settings.density_strength * density_term(
        kept_L, training.size_L, training.block_L, 1 - settings.sparsity, settings.density_scope
    )
    loss = lm_loss + density
    magnitude = torch.zeros_like(density)
    if settings.magnitude != "none":
        norm_L = torch.stack([gate.norm for gate in gates])
        magnitude = settings.magnitude_strength * magnitude_term(
            settings.magnitude, norm_L, training.weight_norm_L, ratio
        )
        loss = loss + magnitude
    share_L = kept_L.detach() / training.size_L
    whole = kept_L.detach().sum() / training.size_L.sum()
    terms = [part.detach().double() for part in (loss, lm_loss, density, magnitude)]
    return loss, torch.cat([torch.stack([*terms, whole]), share_L])


def _update(training: _Training, step: int, values: list[float], started: float) -> None:
    """One optimiser step and a line of history. Raises ValueError for a loss that is not finite."""
    settings = training.settings
    if not all(math.isfinite(value) for value in values):
        raise ValueError(
            f"the loss is not finite at step {step} (LM loss {values[1]}): lower learning_rate "
            "or raise the last tau; a saved state of an earlier step is kept"
        )
    rate = learning_rate(settings.learning_rate, settings.warmup_steps, step, settings.steps)
    for group in training.optimiser.param_groups:
        group["lr"] = rate
    training.optimiser.step()
    seconds = time.monotonic() - started
    relaxation = training.drawing.relaxation
    speed = settings.batch * training.blocks_ST.shape[1] / seconds
    line = [*values[:5], relaxation.alpha, relaxation.tau, rate, speed, seconds, *values[5:]]
    training.history[step] = torch.tensor(line, dtype=torch.float64)


def _tokens(training: _Training, step: int, micro: int) -> Tensor:
    """Token ids [B, T] of a micro-batch: the corpus in an order drawn anew for every epoch."""
    settings, blocks_ST = training.settings, training.blocks_ST
    start = step * settings.batch + micro * settings.micro_batch
    places = range(start, start + settings.micro_batch)
    rows = [_order(settings.seed, place // len(blocks_ST), len(blocks_ST))[place % len(blocks_ST)]
            for place in places]  # fmt: skip
    return blocks_ST[torch.stack(rows)].long().to(training.device)


@lru_cache(maxsize=2)
def _order(seed: int, epoch: int, sequences: int) -> Tensor:
    generator = torch.Generator().manual_seed(noise_seed(seed, -2, epoch))
    return torch.randperm(sequences, generator=generator)


def _save(training: _Training, states: StateFolder | None, step: int) -> None:
    """Write the state before `step`: logits, both moments of the optimiser, metrics so far."""
    if states is None or (parallel.rank() and not parallel.splits(training.settings.sharding)):
        return
    tensors = {"history": training.history[:step]}
    for name, logits in training.logits().items():
        moments = training.optimiser.state.get(logits, {})
        tensors[f"logits/{name}"] = parallel.local(logits)
        for moment in _MOMENTS:
            tensors[f"{moment}/{name}"] = parallel.local(
                moments.get(moment, torch.zeros_like(logits))
            )
        _refuse_non_finite(name, tensors[f"logits/{name}"])
    states.save(step, tensors)


def _refuse_non_finite(name: str, logits: Tensor) -> None:
    if not torch.isfinite(logits).all():
        raise ValueError(f"a logit of {name} is not finite: lower learning_rate")


@torch.no_grad()
def _restore(training: _Training, states: StateFolder) -> int:
    """Load the newest state that all processes have; return the step to go on with."""
    found = states.newest()
    common = parallel.smallest(found[0] if found else 0, training.device)
    if found and found[0] > common:
        found = states.newest(below=common + 1)
    missing = common == 0 or found is None or found[0] != common
    if parallel.anywhere(missing, training.device) or found is None:
        return 0  # in every process alike
    step, tensors = found
    training.history[:step] = tensors["history"]
    for name, logits in training.logits().items():
        parallel.local(logits).copy_(tensors[f"logits/{name}"])
        state = training.optimiser.state[logits]
        state["step"] = torch.tensor(float(step), device=training.device)
        for moment in _MOMENTS:
            state[moment] = torch.zeros_like(logits)
            parallel.local(state[moment]).copy_(tensors[f"{moment}/{name}"])
    return step


def _check(
    model: nn.Module,
    blocks_ST: Tensor,
    settings: Settings,
    masks: Mapping[str, Mapping[str, Tensor] | None],
) -> None:
    if blocks_ST.ndim != 2 or len(blocks_ST) == 0 or blocks_ST.shape[1] < 2:
        raise ValueError(
            "training tokens must be [sequences, tokens], at least one sequence of two tokens, "
            f"not {tuple(blocks_ST.shape)}"
        )
    context = getattr(model.config, "max_position_embeddings", blocks_ST.shape[1])
    if blocks_ST.shape[1] > context:
        raise ValueError(
            f"training sequences have {blocks_ST.shape[1]} tokens, but the model's context is "
            f"{context}: make them shorter"
        )
    micro_batches = settings.batch // settings.micro_batch
    if micro_batches % parallel.processes():
        raise ValueError(
            f"batch / micro_batch is {micro_batches}, which {parallel.processes()} processes "
            "cannot share evenly: choose a multiple"
        )
    names = list(prunable_linears(model))
    for kind, given in masks.items():
        if given is not None and list(given) != names:
            raise ValueError(f"the {kind} masks are not those of this model's prunable layers")
