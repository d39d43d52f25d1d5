"""Seconds of a layer-wise pass, against Wanda's and passes written as the public code is.

    python tests/benchmarks/layer_wise.py --model DIR [--sequences 64 --length 512 --blocks 0]

`wanda`, `sparsegpt`, `thanos`, `admm`, `alps` are `baselines.sequential.prune_model` with default
settings. `sparsegpt-plain` and `admm-plain` are written as the public repositories are: one
sequence at a time, one Hessian per linear layer, sorting to select, and for SparseGPT rank-one
updates as wide as the block. They keep the same exact number of weights.

All variants have the same float32 model, random tokens and number of threads, each in a process of
its own. `--blocks N` keeps the first N decoder blocks only.

Axes: O outputs, I inputs, B sequences, T tokens, N elements.
"""

import argparse
import json
import time
from typing import TYPE_CHECKING

from processes import in_process

if TYPE_CHECKING:
    from torch import Tensor, nn

THREADS = 2
SPARSITY = 0.6
PLAIN = {"sparsegpt": "sparsegpt-plain", "admm": "admm-plain"}
VARIANTS = ("wanda", "sparsegpt", "thanos", "admm", "alps", *PLAIN.values())


def main() -> None:
    """Run all variants one after the other and print the tables; with `--variant` only that."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--model", required=True, help="folder of a checkpoint of a causal LM")
    parser.add_argument("--sequences", type=int, default=64, help="calibration sequences")
    parser.add_argument("--length", type=int, default=512, help="tokens per sequence")
    parser.add_argument("--batch", type=int, default=8, help="sequences per batch, of ours")
    parser.add_argument("--blocks", type=int, default=0, help="decoder blocks (0 = all)")
    parser.add_argument("--variant", choices=VARIANTS, help="run this one only, in this process")
    options = parser.parse_args()
    if options.variant:
        print(json.dumps(measure(**vars(options))))
        return
    seconds = {v: in_process(__file__, options, v, THREADS)["seconds"] for v in VARIANTS}
    print(f"{options.sequences} x {options.length} tokens, {THREADS} threads\n")
    print("| variant | s | / Wanda | plain / ours |\n|---|---:|---:|---:|")
    for variant, value in seconds.items():
        plain = f"{seconds[PLAIN[variant]] / value:.2f}" if variant in PLAIN else ""
        print(f"| {variant} | {value:.1f} | {value / seconds['wanda']:.2f} | {plain} |")


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
    if variant in PLAIN.values():
        plain_pass(loaded, ids_BT, variant)
    else:
        method = registry.load(variant)
        prune_model(loaded, method, method.Settings(), SPARSITY, ids_BT.split(batch))
    return {"seconds": time.perf_counter() - start}


def plain_pass(model: "nn.Module", ids_BT: "Tensor", variant: str) -> None:
    """Block by block, sequence by sequence, every layer with a Hessian of its own."""
    import torch

    from baselines.replay import record
    from leap.budget import layer_survivors
    from leap.model.layers import decoder_blocks, prunable_linears

    prune = {"sparsegpt-plain": plain_sparsegpt, "admm-plain": plain_admm}[variant]
    linears = prunable_linears(model)
    keep = layer_survivors({n: m.weight.numel() for n, m in linears.items()}, SPARSITY)
    prefix, blocks = decoder_blocks(model)
    with torch.no_grad():
        recording = record(model, blocks, ids_BT.split(1))
        hidden = recording.hidden
        for index, block in enumerate(blocks):
            inside = {n: m for n, m in linears.items() if n.startswith(f"{prefix}.{index}.")}
            hessians = {n: torch.zeros(m.in_features, m.in_features) for n, m in inside.items()}
            hooks = [
                m.register_forward_pre_hook(_add_to(hessians[n], len(ids_BT) * ids_BT.shape[1]))
                for n, m in inside.items()
            ]
            for call, states in zip(recording.calls[index], hidden, strict=True):
                call.run(block, states)
            for hook in hooks:
                hook.remove()
            for name, linear in inside.items():
                linear.weight.data = prune(linear.weight.data, hessians[name], keep[name])
            for i, call in enumerate(recording.calls[index]):
                hidden[i] = call.run(block, hidden[i])


def _add_to(hessian_II: "Tensor", tokens: int):
    def hook(_, inputs):
        inputs_TI = inputs[0].reshape(-1, inputs[0].shape[-1])
        hessian_II.add_(inputs_TI.T @ inputs_TI / tokens)

    return hook


def plain_sparsegpt(weight_OI: "Tensor", hessian_II: "Tensor", keep: int) -> "Tensor":
    """The steps of the published algorithm, with an exact number of weights in every block."""
    import torch

    weight_OI = weight_OI.clone()
    rows, columns = weight_OI.shape
    hessian_II = hessian_II.clone()
    hessian_II.diagonal().add_(0.01 * hessian_II.diagonal().mean())
    inverse_II = torch.cholesky_inverse(torch.linalg.cholesky(hessian_II))
    upper_II = torch.linalg.cholesky(inverse_II, upper=True)
    remove = rows * columns - keep
    for start in range(0, columns, 128):
        end = min(start + 128, columns)
        block, error, upper = weight_OI[:, start:end].clone(), [], upper_II[start:end, start:end]
        score = block**2 / upper.diagonal() ** 2
        quota = remove * end // columns - remove * start // columns
        gone = score.flatten().sort().indices[:quota]
        mask = torch.zeros(score.numel(), dtype=torch.bool)
        mask[gone] = True
        mask = mask.view_as(score)
        for j in range(end - start):
            column = block[:, j].clone()
            column[mask[:, j]] = 0
            error.append((block[:, j] - column) / upper[j, j])
            block[:, j:] -= error[-1][:, None] @ upper[j, j:][None]
            block[:, j] = column
        weight_OI[:, start:end] = block
        weight_OI[:, end:] -= torch.stack(error, 1) @ upper_II[start:end, end:]
    return weight_OI


def plain_admm(weight_OI: "Tensor", hessian_II: "Tensor", keep: int) -> "Tensor":
    """The steps of the published algorithm with its cubic schedule."""
    import torch

    norm_I = hessian_II.diagonal().sqrt()
    scaled_II = (hessian_II / norm_I).T / norm_I
    weight_IO = (weight_OI * norm_I).T
    identity_II = torch.eye(len(norm_I))
    scaled_II += 0.1 * scaled_II.diagonal().mean() * identity_II
    target_IO = scaled_II @ weight_IO
    inverse_II = torch.inverse(scaled_II + identity_II)
    dual_IO = torch.zeros_like(weight_IO)
    remove = weight_OI.numel() - keep
    for iteration in range(20):
        if iteration < 15:
            removed = round(remove * (1 - (1 - (iteration + 1) / 15) ** 3))
            order = (weight_IO + dual_IO).T.abs().flatten().sort().indices
            mask = torch.ones(weight_OI.numel())
            mask[order[:removed]] = 0
            mask = mask.view_as(weight_OI).T
        sparse_IO = (weight_IO + dual_IO) * mask
        dual_IO = dual_IO + (weight_IO - sparse_IO)
        weight_IO = inverse_II @ (target_IO + sparse_IO - dual_IO)
    return ((weight_IO + dual_IO) * mask).T / norm_I


if __name__ == "__main__":
    main()
