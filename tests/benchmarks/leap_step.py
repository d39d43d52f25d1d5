"""Seconds and memory of a training step: dense, LEAP the official way, and the methods of `leap`.

    python tests/benchmarks/leap_step.py --model DIR [--batch 1 --length 128 --steps 3]
    python tests/benchmarks/leap_step.py --model llama-3.2-1b --batch 16 --length 2048 --processes 8

A model is the folder of a checkpoint, or the name of one of the paper's models with random weights.
Variants, with the same model, the same random tokens and the same number of threads:

dense        forward + backward with the gradients of all prunable weights, no optimiser step
official     masks by `gumbel_softmax` over a trailing axis of 2, kept on their layers for sums and
             norms; plain autograd; `torch.optim.AdamW`
leap         `leap.learn_masks` with default settings
leap-ckp     with checkpointing
leap-small   with recompute and checkpointing
leap-late    with logits and temperature as late in a training, when nearly all masks are 0 or 1 and
             many are too small for a float
maskllm      MaskLLM's choice among the six patterns 2:4
patch-tile   PATCH's tiles of 128 over fixed 2:4 masks
patch-joint  PATCH's tiles and choices among patterns 2:4, learned together

Each variant runs in processes of its own, in turns; seconds are the median of all steps but the
first of each process. A step has `--batch` sequences in each of `--processes`; dense and official
ones work alone. Models are in bfloat16 on GPUs and in float32 on CPUs. What does not fit says so.

Peak memory is what torch allocated on a GPU, or the largest resident set on a CPU (Linux
only). "Bytes above" is this peak, less the memory after loading the model and one forward pass, per
prunable weight: logits, gradients, optimiser state, masks, activations and waste of the allocator.

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

# Neither torch nor leap here: a child inherits the resident set of its parent as the least value of
# its own ru_maxrss.
if TYPE_CHECKING:
    from torch import Tensor, nn

THREADS = 2
SPARSITY = 0.5
# variant -> arguments of `Execution`, changed settings
LEARNED: dict[str, tuple[dict[str, bool], dict[str, Any]]] = {
    "leap": ({}, {}),
    "leap-ckp": ({"checkpointing": True}, {}),
    "leap-small": ({"recompute": True, "checkpointing": True}, {}),
    "leap-late": ({}, {"init_std": 0.1, "alpha": (290, 290), "tau": (0.3, 0.3)}),
    "maskllm": ({}, {}),
    "patch-tile": ({}, {}),
    "patch-joint": ({}, {}),
}
VARIANTS = ("dense", "official", *LEARNED)


def main() -> None:
    """Run all variants in turns and print the tables; with `--variant` run one, print JSON."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--model", required=True, help="folder of a causal LM, or a paper's model")
    parser.add_argument("--batch", type=int, default=1, help="sequences per step and process")
    parser.add_argument("--length", type=int, default=128, help="tokens per sequence")
    parser.add_argument("--steps", type=int, default=3, help="steps that count, in each process")
    parser.add_argument("--repeats", type=int, default=2, help="processes of each variant")
    parser.add_argument("--processes", type=int, default=1, help="one per GPU")
    parser.add_argument("--only", default=",".join(VARIANTS), help="variants, by commas")
    parser.add_argument("--variant", choices=VARIANTS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.variant:
        print(json.dumps(measure(options)), flush=True)
        return
    variants = options.only.split(",")
    runs: dict[str, list[dict[str, Any]]] = {variant: [] for variant in variants}
    for _ in range(options.repeats):
        for variant in variants:
            several = options.processes if variant in LEARNED else 1
            runs[variant].append(in_process(__file__, options, variant, THREADS, several))
    print(f"{options.processes} x {options.batch} x {options.length} tokens\n")
    print(table(runs))


def table(runs: dict[str, list[dict[str, Any]]]) -> str:
    """Markdown: one line per variant, with ratios to the dense and the official step."""
    lines = [
        "| variant | s / step | / dense | peak GB | / official | bytes above |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    found = {
        variant: (
            statistics.median(s for run in of_variant for s in run["seconds"]),
            max(run["peak"] for run in of_variant),
            max(run["above"] for run in of_variant),
        )
        for variant, of_variant in runs.items()
        if all("seconds" in run for run in of_variant)
    }
    nothing = (float("nan"),) * 3
    dense, official = (found.get(variant, nothing) for variant in ("dense", "official"))
    for variant in runs:
        if variant not in found:
            lines.append(f"| {variant} | does not fit | | | | |")
            continue
        seconds, peak, above = found[variant]
        lines.append(
            f"| {variant} | {seconds:.3f} | {seconds / dense[0]:.2f} | {peak / 1e9:.2f} | "
            f"{peak / official[1]:.2f} | {above:.1f} |"
        )
    return "\n".join(lines)


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """Seconds of each step but the first, peak in bytes, and bytes per weight above the model."""
    import torch

    from leap.distributed import parallel
    from leap.model.layers import prunable_linears
    from leap.model.loss import lm_loss_of

    torch.set_num_threads(THREADS)
    parallel.start()
    model = load(options.model)
    count = options.batch * parallel.world_size()
    ids_BT = torch.randint(model.config.vocab_size, (count, options.length))
    prunable = sum(linear.weight.numel() for linear in prunable_linears(model).values())
    try:
        with torch.no_grad():
            lm_loss_of(model)(ids_BT[: options.batch].to(model.device))
        frozen = memory(peak=False)
        seconds = RUN[options.variant](model, ids_BT, options.steps + 1)[1:]
    except torch.OutOfMemoryError:
        return {"fits": False}
    peak = memory(peak=True)
    return {"seconds": seconds, "peak": peak, "above": (peak - frozen) / prunable}


def load(name: str) -> "nn.Module":
    """A checkpoint, or one of the paper's models with random weights, on this process's device."""
    import torch
    from transformers import AutoModelForCausalLM

    from tests.paper_models import config_of, model_of

    torch.manual_seed(0)
    gpu = torch.cuda.is_available()
    dtype = torch.bfloat16 if gpu else torch.float32
    with torch.device("cuda" if gpu else "cpu"):
        if not Path(name).is_dir():
            torch.set_default_dtype(dtype)
            model = model_of(config_of(name, max_position_embeddings=8192))
            torch.set_default_dtype(torch.float32)
            return model.eval()
        given = {"dtype": dtype, "local_files_only": True, "use_safetensors": True}
        return AutoModelForCausalLM.from_pretrained(name, **given).eval()


def memory(peak: bool) -> int:
    """Bytes in use now or at most: of the GPU, or of this process."""
    import torch

    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated() if peak else torch.cuda.memory_allocated()
    if peak:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


def now() -> float:
    """Seconds, after the GPU has finished its work."""
    import torch

    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter()


def timed(step: Callable[[], object], steps: int) -> list[float]:
    """Seconds of each step."""
    times = [now()]
    for _ in range(steps):
        step()
        times.append(now())
    return [end - start for start, end in itertools.pairwise(times)]


def dense(model: "nn.Module", ids_BT: "Tensor", steps: int) -> list[float]:
    """Forward and backward of the dense model."""
    from leap.model.layers import prunable_linears
    from leap.model.loss import lm_loss_of

    model.requires_grad_(False)
    for linear in prunable_linears(model).values():
        linear.weight.requires_grad_(True)
    loss, ids_BT = lm_loss_of(model), ids_BT.to(model.device)

    def step() -> None:
        model.zero_grad()
        loss(ids_BT).backward()

    return timed(step, steps)


def official(model: "nn.Module", ids_BT: "Tensor", steps: int) -> list[float]:
    """LEAP with the arithmetic of the official code, written out."""
    import torch

    from leap import Settings
    from leap.methods.leap import first_logits
    from leap.model.layers import prunable_linears
    from leap.model.loss import lm_loss_of

    settings = Settings(SPARSITY)
    model.requires_grad_(False)
    layers = list(prunable_linears(model).values())
    loss, ids_BT = lm_loss_of(model), ids_BT.to(model.device)
    for index, layer in enumerate(layers):
        logits_OI = first_logits(tuple(layer.weight.shape), settings.init_std, index, None, 0.0)
        layer.logits = torch.nn.Parameter(logits_OI.to(layer.weight))
        layer.forward = official_forward(layer, settings.alpha[0], settings.tau[0])
    optimiser = torch.optim.AdamW([layer.logits for layer in layers], lr=settings.learning_rate)
    weights = sum(layer.weight.numel() for layer in layers)
    norm = sum(torch.norm(layer.weight) for layer in layers)

    def step() -> None:
        optimiser.zero_grad()
        lm_loss = loss(ids_BT)
        density = sum(layer.mask.sum() for layer in layers) / weights
        kept = sum(torch.norm(layer.mask * layer.weight) for layer in layers)
        whole = lm_loss + settings.density_strength * (density - (1 - SPARSITY)).abs()
        (whole - settings.magnitude_strength * kept / norm).backward()
        optimiser.step()

    return timed(step, steps)


def official_forward(layer: "nn.Linear", alpha: float, tau: float) -> Callable:
    """Forward pass that draws a mask, keeps it on the layer, and multiplies."""
    import torch
    import torch.nn.functional as F

    def forward(inputs: "Tensor") -> "Tensor":
        pairs_OI2 = torch.stack([torch.zeros_like(layer.logits), alpha * layer.logits], -1)
        layer.mask = F.gumbel_softmax(pairs_OI2, tau, hard=False, dim=-1)[..., 1]
        return F.linear(inputs, layer.weight * layer.mask, layer.bias)

    return forward


def learned(variant: str) -> Callable[["nn.Module", "Tensor", int], list[float]]:
    """A training by this package; a step is the time between two reports."""

    def run(model: "nn.Module", ids_BT: "Tensor", steps: int) -> list[float]:
        from leap import Settings, learn_masks
        from leap.distributed import parallel
        from leap.execution import Execution

        execution, changes = LEARNED[variant]
        draw = len(ids_BT) // parallel.world_size()
        batch = {"batch": len(ids_BT), "sequences_per_draw": draw}
        settings = Settings(SPARSITY, steps=steps, **batch, **changes)
        times = [now()]
        learn_masks(
            model, ids_BT, settings, execution=Execution(**execution),
            report=lambda step, values: times.append(now()), **parameterised(variant, model),
        )  # fmt: skip
        return [end - start for start, end in itertools.pairwise(times)]

    return run


def parameterised(variant: str, model: "nn.Module") -> dict[str, Any]:
    """Arguments of `learn_masks` for MaskLLM and PATCH."""
    import torch

    from leap.methods.maskllm import MaskLLM
    from leap.methods.patch import Patch
    from leap.model.layers import prunable_linears

    if variant == "maskllm":
        return {"parameterisation": MaskLLM(2, 4)}
    if variant == "patch-joint":
        return {"parameterisation": Patch(128, 2, 4, joint=True)}
    if variant == "patch-tile":
        row_4 = torch.tensor([True, True, False, False])
        sparse = {
            name: row_4.repeat(linear.out_features, linear.in_features // 4)
            for name, linear in prunable_linears(model).items()
        }
        return {"parameterisation": Patch(128, 2, 4, joint=False), "sparse": sparse}
    return {}


RUN = {"dense": dense, "official": official, **{variant: learned(variant) for variant in LEARNED}}


if __name__ == "__main__":
    main()
