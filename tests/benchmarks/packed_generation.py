"""Tokens a second of a whole model in generating text: packed weights and dense ones, in one run.

    python tests/benchmarks/packed_generation.py [--model llama-3.2-1b] [--batches 1,8] [--rounds 3]

A model is the folder of a checkpoint, or the name of one of the paper's models with random weights
in bfloat16. Masks are random, since speed depends neither on which weights are kept nor on their
values. Every round measures each way of holding the weights once, in a process of its own
(`leap_suite.sparse.timing`). `× dense` is against the fastest dense way of the same round; ± is
half the range over rounds.
"""

import argparse
import statistics
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from leap.model.layers import prunable_linears
from leap_suite.artifacts.files import sha256, write_json
from leap_suite.artifacts.masks import save_masks
from leap_suite.results.speeds import gain
from leap_suite.sparse import cpu
from leap_suite.sparse.container import WEIGHTS, pack_checkpoint
from leap_suite.sparse.timing import Settings, timed
from leap_suite.stages.models import load_model
from tests.paper_models import config_of, model_of


def main() -> None:
    """Measure and print the tables."""
    options = _options()
    settings = Settings(
        prompt=options.prompt,
        tokens=options.tokens,
        batches=tuple(options.batches),
        threads=options.threads,
        device=options.device,
    )
    dense_ways = ["bfloat16"]
    if options.device == "cpu":
        dense_ways += [*(["own kernel"] if cpu.instructions() else []), "float32"]
    with tempfile.TemporaryDirectory() as temporary:
        dense = _dense(options.model, Path(temporary) / "dense")
        packed = {s: _packed(dense, s, Path(temporary) / f"{s}") for s in options.sparsities}
        ways = {f"dense, {way}": (dense, way) for way in dense_ways}
        ways |= {f"packed, {s:.0%} zeros": (folder, "bitmask") for s, folder in packed.items()}
        if options.device == "cpu":  # for comparison, by torch's kernels
            ways |= {f"{bits} bits": (dense, f"{bits} bits") for bits in (8, 4)}
        found: dict[str, list[dict[str, Any]]] = {way: [] for way in ways}
        for number in range(options.rounds):
            for way, (folder, kind) in ways.items():
                found[way].append(timed(folder, kind, settings))
                print(f"round {number}, {way}: {found[way][-1]}", file=sys.stderr)
    kind = cpu.instructions() if options.device == "cpu" else torch.cuda.get_device_name()
    print(f"{options.model}, {kind}, {options.threads} threads, torch {torch.__version__}\n")
    print("| weights | GB | peak GB | first token, s |", end="")
    print("".join(f" tokens/s, batch {batch} | × dense |" for batch in options.batches))
    print("|---|---:|---:|---:|" + "---:|---:|" * len(options.batches))
    for way in ways:
        print(_row(way, found, options.batches))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--model", default="llama-3.2-1b")
    parser.add_argument("--sparsities", type=_numbers(float), default=[0.5, 0.6])
    parser.add_argument("--batches", type=_numbers(int), default=[1, 8])
    parser.add_argument("--prompt", type=int, default=512, help="tokens before the first one")
    parser.add_argument("--tokens", type=int, default=32, help="generated in each text")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--device", default="cpu")
    return parser.parse_args()


def _numbers(kind: type) -> Any:
    return lambda text: [kind(part) for part in text.split(",")]


def _dense(name: str, folder: Path) -> Path:
    """Checkpoint of the model in bfloat16."""
    torch.manual_seed(0)
    if Path(name).is_dir():
        model = load_model(name, "bfloat16", "cpu")
    else:
        torch.set_default_dtype(torch.bfloat16)
        model = model_of(config_of(name))
        torch.set_default_dtype(torch.float32)
    model.save_pretrained(folder, max_shard_size="1TB")
    return folder


def _packed(dense: Path, sparsity: float, folder: Path) -> Path:
    """Packed checkpoint with random masks."""
    model, hardened = load_model(dense, "bfloat16", "cpu"), folder / "hardened"
    masks = {}
    for name, linear in prunable_linears(model).items():
        masks[name] = torch.rand(linear.weight.shape) >= sparsity
        linear.weight.data.masked_fill_(~masks[name], 0)
    model.save_pretrained(hardened, max_shard_size="1TB")
    save_masks({name: mask.numpy() for name, mask in masks.items()}, hardened / "mask.safetensors")
    write_json(hardened / "manifest.json", {"weights_sha256": sha256(hardened / WEIGHTS)})
    pack_checkpoint(hardened, folder / "packed")
    return folder / "packed"


def _row(way: str, found: Mapping[str, Sequence[Mapping[str, Any]]], batches: list[int]) -> str:
    rounds = found[way]
    sizes = [statistics.median(r[name] for r in rounds) / 1e9
             for name in ("parameter_bytes", "peak_bytes")]  # fmt: skip
    firsts = [r["first_token_seconds"] for r in rounds]
    first = "–" if None in firsts else f"{statistics.median(firsts):.3f}"
    cells = [way, f"{sizes[0]:.2f}", f"{sizes[1]:.2f}", first]
    for batch in map(str, batches):
        speeds = {name: [r["tokens_per_second"][batch] for r in of] for name, of in found.items()}
        dense = [of for name, of in speeds.items() if name.startswith("dense")]
        middle, spread = gain(speeds[way], *dense)
        cells += [f"{statistics.median(speeds[way]):.1f}", f"{middle:.2f} ± {spread:.2f}"]
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    main()
