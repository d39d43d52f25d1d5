"""Seconds and memory of one training step: dense, LEAP the official way, and all of `leap`.

    python tests/benchmarks/leap_step.py --model DIR [--batch 1 --length 128 --steps 3]

Variants, with the same float32 model, same random tokens, same number of threads:

dense        forward + backward with the gradients of all weights, no optimiser step
official     masks by `gumbel_softmax` over a trailing axis of 2, kept on their layers; sums and
             norms taken from them one after the other; plain autograd; `torch.optim.AdamW`
ours         `leap.learn_masks` with default settings
ours-small   `leap.learn_masks` with recompute and checkpointing
ours-late    `leap.learn_masks` with logits and temperature as late in a training, when nearly all
             masks are 0 or 1 and many are too small for a float
maskllm      the same trainer with MaskLLM's choice among the six patterns 2:4
patch-tile   with PATCH's tiles of 128 over fixed 2:4 masks
patch-joint  with PATCH's tiles and the choices among patterns 2:4 learned together

A step of all but the first is forward + backward + optimiser step. Each variant runs in processes
of its own, in turns, and the table has the median of all its steps but the first of each process.

Memory is the largest resident set of a process (`ru_maxrss`). "Bytes a weight above the frozen
model" is that peak, less the resident set after loading the model and one forward pass without
gradients, over the number of prunable weights. The latter holds Python, its libraries and all
weights; so logits, gradients, optimiser state, masks, *and* activations and whatever the allocator
wastes are counted, and the figure is an upper bound of what LEAP's own tensors take. Linux only.

Axes: O outputs, I inputs, B sequences, T tokens.
"""

import argparse
import itertools
import json
import resource
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from processes import in_process

# Neither torch nor leap up here: a child inherits the resident set of the process it came from as
# the least value of its own ru_maxrss, so the parent has to stay small.
if TYPE_CHECKING:
    from torch import Tensor, nn

THREADS = 2
REPEATS = 2
VARIANTS = ("dense", "official", "ours", "ours-small", "ours-late", "maskllm", "patch-tile",
            "patch-joint")  # fmt: skip
SPARSITY = 0.5


def main() -> None:
    """Run all variants in turns and print the table; with `--variant` run one, print JSON."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--model", required=True, help="folder of a checkpoint of a causal LM")
    parser.add_argument("--batch", type=int, default=1, help="sequences a step")
    parser.add_argument("--length", type=int, default=128, help="tokens a sequence")
    parser.add_argument("--steps", type=int, default=3, help="steps that count, in each process")
    parser.add_argument("--variant", choices=VARIANTS, help="run this one only, in this process")
    options = parser.parse_args()
    if options.variant:
        print(json.dumps(measure(**vars(options))))
        return
    runs: dict[str, list[dict]] = {variant: [] for variant in VARIANTS}
    for _ in range(REPEATS):
        for variant in VARIANTS:
            runs[variant].append(in_process(__file__, options, variant, THREADS))
    print(f"{options.batch} x {options.length} tokens, {THREADS} threads\n")
    print(table(runs))


def table(runs: dict[str, list[dict]]) -> str:
    """Markdown: a line for each variant, then the ratios that the project promises."""
    seconds = {v: statistics.median(s for run in runs[v] for s in run["seconds"]) for v in runs}
    peak = {v: max(run["peak"] for run in runs[v]) for v in runs}
    above = {v: max(run["above"] for run in runs[v]) for v in runs}
    lines = [
        "| variant | s / step | / dense | peak GB | / official | bytes a weight above frozen |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    for v in runs:
        lines.append(
            f"| {v} | {seconds[v]:.3f} | {seconds[v] / seconds['dense']:.2f} | "
            f"{peak[v] / 1e9:.2f} | {peak[v] / peak['official']:.2f} | {above[v]:.1f} |"
        )
    return "\n".join(
        [
            *lines,
            "",
            "| ratio | measured | goal |",
            "|---|---:|---|",
            f"| time, official / ours | {seconds['official'] / seconds['ours']:.2f} "
            "| >= 5 at 1 x 128 |",
            f"| peak memory, ours / official | {peak['ours'] / peak['official']:.2f} "
            "| <= 0.55 at 1 x 128 |",
            f"| time, ours / dense | {seconds['ours'] / seconds['dense']:.2f} "
            "| <= 1.15 at 4 x 512 |",
            f"| bytes a weight above frozen, ours-small | {above['ours-small']:.1f} | <= 20 |",
            f"| time, ours-late / ours | {seconds['ours-late'] / seconds['ours']:.2f} | <= 1.1 |",
        ]
    )


def measure(model: str, batch: int, length: int, steps: int, variant: str) -> dict:
    """Seconds of each step but the first, peak in bytes, and bytes a weight above the model."""
    import torch
    from transformers import AutoModelForCausalLM

    from leap.model.layers import prunable_linears

    torch.set_num_threads(THREADS)
    torch.manual_seed(0)
    loaded = AutoModelForCausalLM.from_pretrained(
        model, dtype=torch.float32, local_files_only=True, use_safetensors=True
    ).eval()
    ids_BT = torch.randint(loaded.config.vocab_size, (batch, length))
    prunable = sum(linear.weight.numel() for linear in prunable_linears(loaded).values())
    with torch.no_grad():
        loaded(input_ids=ids_BT, labels=ids_BT, use_cache=False)
    frozen = _resident_now()
    seconds = _RUN[variant](loaded, ids_BT, steps + 1)[1:]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return {"seconds": seconds, "peak": peak, "above": (peak - frozen) / prunable}


def _resident_now() -> int:
    """Bytes of this process that are in memory."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize()


def _timed(step: Callable[[], None], steps: int) -> list[float]:
    seconds = []
    for _ in range(steps):
        start = time.perf_counter()
        step()
        seconds.append(time.perf_counter() - start)
    return seconds


def dense(model: "nn.Module", ids_BT: "Tensor", steps: int) -> list[float]:
    """Forward and backward of the model as it is."""

    def step() -> None:
        model.zero_grad()
        model(input_ids=ids_BT, labels=ids_BT, use_cache=False).loss.backward()

    return _timed(step, steps)


def ours(model: "nn.Module", ids_BT: "Tensor", steps: int, small: bool = False) -> list[float]:
    """LEAP by this package; a step is the time between two reports, so nothing is left out."""
    from leap.execution import Execution

    execution = Execution(recompute=small, checkpointing=small)
    return _learn(model, ids_BT, steps, {}, execution=execution)


def ours_late(model: "nn.Module", ids_BT: "Tensor", steps: int) -> list[float]:
    """LEAP by this package, after the logits have moved apart and the temperature has fallen."""
    return _learn(model, ids_BT, steps, {"init_std": 0.1, "alpha": (290, 290), "tau": (0.3, 0.3)})


def _learn(
    model: "nn.Module", ids_BT: "Tensor", steps: int, changes: dict[str, Any], **what: Any
) -> list[float]:
    from leap import Settings, learn_masks

    size = len(ids_BT)
    settings = Settings(SPARSITY, steps=steps, batch=size, sequences_per_draw=size, **changes)
    times = [time.perf_counter()]

    def report(step: int, values: dict[str, float]) -> None:
        times.append(time.perf_counter())

    learn_masks(model, ids_BT, settings, report=report, **what)
    return [end - start for start, end in itertools.pairwise(times)]


def maskllm(model: "nn.Module", ids_BT: "Tensor", steps: int) -> list[float]:
    """MaskLLM's 2:4 on the same trainer."""
    from leap.methods.maskllm import MaskLLM

    return _learn(model, ids_BT, steps, {}, parameterisation=MaskLLM(2, 4))


def patch_tile(model: "nn.Module", ids_BT: "Tensor", steps: int) -> list[float]:
    """PATCH's tiles over fixed 2:4 masks, which keep the first two of four."""
    import torch

    from leap.methods.patch import Patch
    from leap.model.layers import prunable_linears

    row_4 = torch.tensor([True, True, False, False])
    sparse = {
        name: row_4.repeat(linear.out_features, linear.in_features // 4)
        for name, linear in prunable_linears(model).items()
    }
    tiles = Patch(128, 2, 4, joint=False)
    return _learn(model, ids_BT, steps, {}, parameterisation=tiles, sparse=sparse)


def patch_joint(model: "nn.Module", ids_BT: "Tensor", steps: int) -> list[float]:
    """PATCH's tiles and MaskLLM's choices together."""
    from leap.methods.patch import Patch

    return _learn(model, ids_BT, steps, {}, parameterisation=Patch(128, 2, 4, joint=True))


def official(model: "nn.Module", ids_BT: "Tensor", steps: int) -> list[float]:
    """LEAP with the arithmetic of the official code, written out."""
    import torch

    from leap import Settings
    from leap.methods.leap import first_logits
    from leap.model.layers import prunable_linears

    settings = Settings(SPARSITY)
    alpha, tau = settings.alpha[0], settings.tau[0]
    model.requires_grad_(False)
    layers = list(prunable_linears(model).values())
    for index, layer in enumerate(layers):
        logits_OI = first_logits(tuple(layer.weight.shape), settings.init_std, index, None, 0.0)
        layer.logits = torch.nn.Parameter(logits_OI)
        layer.forward = _official_forward(layer, alpha, tau)
    optimiser = torch.optim.AdamW([layer.logits for layer in layers], lr=settings.learning_rate)

    def step() -> None:
        optimiser.zero_grad()
        loss = model(input_ids=ids_BT, labels=ids_BT, use_cache=False).loss
        density = sum(layer.mask.sum() for layer in layers) / sum(
            layer.mask.numel() for layer in layers
        )
        kept = sum(torch.norm(layer.mask * layer.weight) for layer in layers)
        magnitude = kept / sum(torch.norm(layer.weight) for layer in layers)
        loss = loss + settings.density_strength * (density - (1 - SPARSITY)).abs()
        loss = loss - settings.magnitude_strength * magnitude
        loss.backward()
        optimiser.step()

    return _timed(step, steps)


def _official_forward(layer: "nn.Linear", alpha: float, tau: float) -> Callable:
    import torch
    import torch.nn.functional as F

    def forward(inputs: "Tensor") -> "Tensor":
        pairs_OI2 = torch.stack([torch.zeros_like(layer.logits), alpha * layer.logits], -1)
        layer.mask = F.gumbel_softmax(pairs_OI2, tau, hard=False, dim=-1)[..., 1]
        return F.linear(inputs, layer.weight * layer.mask, layer.bias)

    return forward


def ours_small(model: "nn.Module", ids_BT: "Tensor", steps: int) -> list[float]:
    """LEAP by this package, with the two settings that save memory on one device."""
    return ours(model, ids_BT, steps, small=True)


_RUN = {
    "dense": dense,
    "official": official,
    "ours": ours,
    "ours-small": ours_small,
    "ours-late": ours_late,
    "maskllm": maskllm,
    "patch-tile": patch_tile,
    "patch-joint": patch_joint,
}

if __name__ == "__main__":
    main()
