"""Seconds and memory of LEAP's step on GPUs, against a dense step and the official way.

    PYTHONPATH=.:workflow python tests/benchmarks/gpu.py [--models llama-3.2-1b ...]
    PYTHONPATH=.:workflow torchrun --standalone --nproc-per-node 8 tests/benchmarks/gpu.py

The paper's five models with random weights in bfloat16; nothing is downloaded. A step has `--draw`
sequences of `--length` tokens for each process. Variants, all with the loss of `leap.model.loss`:

dense     forward + backward with the gradients of all prunable weights, no optimiser step
official  logits in the model's dtype, masks by `gumbel_softmax` over a trailing axis of 2, kept for
          sums and norms; plain autograd; `torch.optim.AdamW`
ours      `leap.learn_masks` with the largest micro-batch that fits
ours-ckp  `leap.learn_masks` with checkpointing

In the first two each process is on its own. Micro-batches are halved until one fits; those of the
official way have one sequence. Seconds are the median of `--steps` steps after the first. Memory is
the most that torch had allocated on a GPU. A second table has the gate alone, on the model's
largest matrix: bytes a second, of the 8 bytes a weight that it has to move forward and 12 backward,
against those of a copy.

Without a GPU it runs on two layers of narrow models, which only shows that it works: then there is
no memory in the table, and times mean nothing.

Axes: O outputs, I inputs, B sequences, T tokens.
"""

import argparse
import gc
import itertools
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from leap import Settings, learn_masks
from leap.distributed import parallel
from leap.execution import Execution
from leap.methods.leap import first_logits
from leap.methods.leap.gate import bernoulli_gate as gate
from leap.methods.relaxation import Relaxation
from leap.model.layers import prunable_linears
from leap.model.loss import lm_loss_of
from suite.plan.cost import MODELS
from tests.paper_models import config_of, model_of

SPARSITY = 0.5
CONTEXT = {"max_position_embeddings": 8192}
VARIANTS = ("dense", "official", "ours", "ours-ckp")
ON_GPU = torch.cuda.is_available()
NARROW = {"hidden_size": 64, "intermediate_size": 160, "num_hidden_layers": 2, "vocab_size": 512,
          "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 16}  # fmt: skip
BYTES_FORWARD, BYTES_BACKWARD = 8, 12  # a weight, see leap.methods.leap.fused


def main() -> None:
    """Every variant of every model, one after the other; the first process prints."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--models", nargs="+", choices=MODELS, default=list(MODELS))
    parser.add_argument("--variants", nargs="+", choices=VARIANTS, default=VARIANTS)
    parser.add_argument("--length", type=int, default=4096 if ON_GPU else 32)
    parser.add_argument("--draw", type=int, default=8, help="sequences that share a mask")
    parser.add_argument("--steps", type=int, default=5, help="steps that count")
    options = parser.parse_args()
    parallel.start()
    say(f"{parallel.world_size()} x {torch.cuda.get_device_name() if ON_GPU else 'CPU'}, "
        f"{options.draw} x {options.length} tokens a process and step\n")  # fmt: skip
    say("| model | variant | way | s / step | / dense | peak GB |")
    say("|---|---|---|---:|---:|---:|")
    for name in options.models:
        steps_of(name, options)
    say("\n| model | gate of | forward GB/s | backward GB/s | copy GB/s |")
    say("|---|---|---:|---:|---:|")
    for name in options.models:
        gate_of(name)


def say(line: str) -> None:
    """Print in the first process."""
    if parallel.rank() == 0:
        print(line, flush=True)


def steps_of(name: str, options: argparse.Namespace) -> None:
    """A line for each variant of a model."""
    dense = float("nan")
    for variant in options.variants:
        size = 1 if variant == "official" else options.draw
        while (seconds := measured(name, variant, size, options)) is None and size > 1:
            size //= 2
        dense = (seconds or dense) if variant == "dense" else dense
        time_and_ratio = f"{seconds:.3f} | {seconds / dense:.2f}" if seconds else "does not fit |"
        peak = f"{torch.cuda.max_memory_allocated() / 1e9:.2f}" if ON_GPU and seconds else ""
        say(f"| {name} | {variant} | micro-batch {size} | {time_and_ratio} | {peak} |")


def measured(name: str, variant: str, size: int, options: argparse.Namespace) -> float | None:
    """Seconds of a step in micro-batches of this size, if they fit."""
    gc.collect()  # official layers refer to themselves
    if ON_GPU:
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
    model = built(name)
    ids_BT = torch.randint(model.config.vocab_size, (4 * options.draw, options.length))
    way = Execution(micro_batch=size, checkpointing=variant == "ours-ckp")
    try:
        return statistics.median(RUN[variant](model, ids_BT, way, options)[1:])
    except torch.OutOfMemoryError:
        return None


def built(name: str) -> nn.Module:
    """A model with random weights, the same in each process."""
    torch.manual_seed(0)
    with torch.device(device()), default_dtype(torch.bfloat16 if ON_GPU else torch.float32):
        changes = CONTEXT if ON_GPU else NARROW
        return model_of(config_of(name, **changes)).eval()


def device() -> torch.device:
    """Where this process computes."""
    return torch.device("cuda", torch.cuda.current_device()) if ON_GPU else torch.device("cpu")


@contextmanager
def default_dtype(dtype: torch.dtype) -> Iterator[None]:
    """New tensors of floats have this dtype."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


def ours(
    model: nn.Module, ids_BT: Tensor, way: Execution, options: argparse.Namespace
) -> list[float]:
    """LEAP by this package; a step is the time between two reports, so nothing is left out."""
    settings = Settings(
        SPARSITY, steps=options.steps + 1, batch=options.draw * parallel.world_size(),
        sequences_per_draw=options.draw,
    )  # fmt: skip
    times = [now()]
    learn_masks(
        model, ids_BT, settings, execution=way, report=lambda step, values: times.append(now())
    )
    return [end - start for start, end in itertools.pairwise(times)]


def dense(
    model: nn.Module, ids_BT: Tensor, way: Execution, options: argparse.Namespace
) -> list[float]:
    """Forward and backward of the model as it is."""
    model.requires_grad_(False)
    for linear in prunable_linears(model).values():
        linear.weight.requires_grad_(True)
    loss = lm_loss_of(model)

    def step() -> None:
        model.zero_grad()
        for part_BT in ids_BT[: options.draw].split(way.micro_batch):
            loss(part_BT.to(device())).backward()

    return timed(step, options.steps + 1)


def official(
    model: nn.Module, ids_BT: Tensor, way: Execution, options: argparse.Namespace
) -> list[float]:
    """LEAP with the arithmetic of the official code, written out."""
    settings = Settings(SPARSITY)
    model.requires_grad_(False)
    layers = list(prunable_linears(model).values())
    loss = lm_loss_of(model)
    for index, layer in enumerate(layers):
        logits_OI = first_logits(tuple(layer.weight.shape), settings.init_std, index, None, 0.0)
        layer.logits = nn.Parameter(logits_OI.to(layer.weight))
        layer.forward = official_forward(layer, settings.alpha[0], settings.tau[0])
    optimiser = torch.optim.AdamW([layer.logits for layer in layers], lr=settings.learning_rate)
    weights = sum(layer.weight.numel() for layer in layers)
    norm = sum(torch.norm(layer.weight) for layer in layers)

    def step() -> None:
        optimiser.zero_grad()
        for part_BT in ids_BT[: options.draw].split(way.micro_batch):
            lm_loss = loss(part_BT.to(device()))
            density = sum(layer.mask.sum() for layer in layers) / weights
            kept = sum(torch.norm(layer.mask * layer.weight) for layer in layers)
            whole = lm_loss + settings.density_strength * (density - (1 - SPARSITY)).abs()
            (whole - settings.magnitude_strength * kept / norm).backward()
        optimiser.step()

    return timed(step, options.steps + 1)


def official_forward(layer: nn.Linear, alpha: float, tau: float) -> Callable[[Tensor], Tensor]:
    """Draws a mask, keeps it on the layer, and multiplies."""

    def forward(inputs: Tensor) -> Tensor:
        pairs_OI2 = torch.stack([torch.zeros_like(layer.logits), alpha * layer.logits], -1)
        layer.mask = F.gumbel_softmax(pairs_OI2, tau, hard=False, dim=-1)[..., 1]
        return F.linear(inputs, layer.weight * layer.mask, layer.bias)

    return forward


RUN = {"dense": dense, "official": official, "ours": ours, "ours-ckp": ours}


def gate_of(name: str) -> None:
    """A line about the gate of the model's largest matrix."""
    shape = MODELS[name]
    size = (shape.intermediate, shape.hidden) if ON_GPU else (160, 64)
    dtype = torch.bfloat16 if ON_GPU else torch.float32
    weight_OI = torch.randn(size, device=device(), dtype=dtype)
    logits_OI = torch.randn(size, device=device(), requires_grad=True)
    grad_OI = torch.randn_like(weight_OI)

    def forward() -> Tensor:
        return gate(logits_OI, weight_OI, Relaxation(25.0, 4.0), 0, "l2")[0]

    masked_OI = forward()

    def backward() -> None:
        torch.autograd.grad(masked_OI, logits_OI, grad_OI, retain_graph=True)

    copied = torch.empty_like(logits_OI)
    moved = (
        (BYTES_FORWARD, forward),
        (BYTES_BACKWARD, backward),
        (2 * copied.itemsize, lambda: copied.copy_(logits_OI.detach())),
    )
    speeds = [weight_OI.numel() * size / average_of(run) / 1e9 for size, run in moved]
    say(f"| {name} | {size[0]} x {size[1]} | " + " | ".join(f"{s:.3g}" for s in speeds) + " |")


def average_of(run: Callable[[], object], repeats: int = 20) -> float:
    """Seconds of a run, of many in a row, after some that do not count."""
    timed(run, 3)
    start = now()
    for _ in range(repeats):
        run()
    return (now() - start) / repeats


def timed(step: Callable[[], object], steps: int) -> list[float]:
    """Seconds of each step."""
    seconds = []
    for _ in range(steps):
        start = now()
        step()
        seconds.append(now() - start)
    return seconds


def now() -> float:
    """Seconds, when the GPU has done all that it was given."""
    if ON_GPU:
        torch.cuda.synchronize()
    return time.perf_counter()


if __name__ == "__main__":
    main()
