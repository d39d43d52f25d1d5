"""Seconds of a layer-wise pass, against Wanda's.

    python tests/benchmarks/layer_wise.py --model DIR [--sequences 64 --length 512 --blocks 0]

A pass is `baselines.sequential.prune_model` with default settings. All have the same float32 model,
random tokens and number of threads, each in a process of its own. `--blocks N` keeps the first N
decoder blocks only.

Axes: B sequences, T tokens.
"""

import argparse
import json
import time

from processes import in_process

THREADS = 2
SPARSITY = 0.6
VARIANTS = ("wanda", "sparsegpt", "thanos", "admm", "alps")


def main() -> None:
    """Run all variants one after the other and print the tables; with `--variant` only that."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--model", required=True, help="folder of a checkpoint of a causal LM")
    parser.add_argument("--sequences", type=int, default=64, help="calibration sequences")
    parser.add_argument("--length", type=int, default=512, help="tokens per sequence")
    parser.add_argument("--batch", type=int, default=8, help="sequences per batch")
    parser.add_argument("--blocks", type=int, default=0, help="decoder blocks (0 = all)")
    parser.add_argument("--variant", choices=VARIANTS, help="run this one only, in this process")
    options = parser.parse_args()
    if options.variant:
        print(json.dumps(measure(**vars(options))))
        return
    seconds = {v: in_process(__file__, options, v, THREADS)["seconds"] for v in VARIANTS}
    print(f"{options.sequences} x {options.length} tokens, {THREADS} threads\n")
    print("| variant | s | / Wanda |\n|---|---:|---:|")
    for variant, value in seconds.items():
        print(f"| {variant} | {value:.1f} | {value / seconds['wanda']:.2f} |")


def measure(
    model: str, sequences: int, length: int, batch: int, blocks: int, variant: str
) -> dict[str, float]:
    """Seconds of the pass, without loading the model."""
    import torch
    from transformers import AutoModelForCausalLM

    from baselines import registry
    from baselines.sequential import prune_model
    from leap.model.layers import decoder_blocks

    torch.set_num_threads(THREADS)
    torch.manual_seed(0)
    loaded = AutoModelForCausalLM.from_pretrained(
        model, dtype=torch.float32, local_files_only=True, use_safetensors=True
    ).eval()
    if blocks:
        del decoder_blocks(loaded)[1][blocks:]
    ids_BT = torch.randint(loaded.config.vocab_size, (sequences, length))
    start = time.perf_counter()
    method = registry.load(variant)
    prune_model(loaded, method, method.Settings(), SPARSITY, ids_BT.split(batch))
    return {"seconds": time.perf_counter() - start}


if __name__ == "__main__":
    main()
