"""Soft masks over frozen weights: M = sigmoid((alpha * P + g) / tau), and the weight M * W.

The binary concrete relaxation of one Bernoulli gate per weight (LEAP, arXiv 2605.17289, section
"Learnable masks"). Axes: O outputs, I inputs, N elements of a flattened matrix.

Everything that is needed of one weight comes out of a single autograd function, which works
through the matrix in chunks that fit a CPU's cache. For its backward pass it keeps the mask, or
nothing: the noise is drawn from a generator that can be seeded again.
"""

import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

# A mask below this is zero. It changes no sum, but a weight times it would be subnormal, and with
# such numbers a CPU multiplies a hundred times more slowly.
FLOOR = 1e-30

_CHUNK_ON_CPU = 2**17
_CHUNK_ON_GPU = 2**24


@dataclass(frozen=True)
class Relaxation:
    """How logits become a mask.

    `alpha` scales the logits and `tau` is the temperature. `noise` is `logistic`, the difference
    of two Gumbels, or `gumbel`, a single one, whose mean of 0.577 leans towards keeping. With
    `hard` the forward pass uses 1 where M > 0.5 and 0 elsewhere, the backward pass the gradient
    of M (straight-through).
    """

    alpha: float
    tau: float
    noise: str = "logistic"
    hard: bool = False


def gate(
    logits_OI: Tensor,
    weight_OI: Tensor,
    relaxation: Relaxation,
    seed: int,
    norm: str = "l2",
    recompute: bool = False,
) -> tuple[Tensor, Tensor, Tensor]:
    """Masked weight M * W [O, I], sum of M, and norm of M * W (`l2` Frobenius, `l1`, or `none`).

    The mask is drawn anew from `seed`; equal seeds give equal masks. Only `logits_OI` receives a
    gradient. The masked weight has the weight's dtype, both scalars are float64. With `recompute`
    the backward pass draws the mask again, which saves its memory (4 bytes a weight).
    """
    return _Gate.apply(logits_OI, weight_OI, relaxation, seed, norm, recompute)


def sample_noise(shape: tuple[int, ...], kind: str, seed: int, like: Tensor) -> Tensor:
    """The noise g that `gate` adds for this seed, in the dtype and on the device of `like`."""
    noise = torch.empty(shape, dtype=like.dtype, device=like.device)
    random = generator(seed, like.device)
    for chunk in _chunks(noise.numel(), noise.device):
        _fill_noise(noise.view(-1)[chunk], kind, random)
    return noise


class _Gate(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        logits_OI: Tensor,
        weight_OI: Tensor,
        relaxation: Relaxation,
        seed: int,
        norm: str,
        recompute: bool,
    ) -> tuple[Tensor, Tensor, Tensor]:
        logits_N, weight_N = logits_OI.detach().reshape(-1), weight_OI.detach().reshape(-1)
        masked_OI = torch.empty(weight_OI.shape, dtype=weight_OI.dtype, device=weight_OI.device)
        masked_N = masked_OI.view(-1)
        soft_N = logits_N if recompute else torch.empty_like(logits_N)
        total = torch.zeros((), dtype=torch.float64, device=logits_N.device)
        norm_sum = torch.zeros_like(total)
        for chunk, mask_C in _drawn(logits_N, relaxation, seed):
            if not recompute:
                soft_N[chunk] = mask_C
            if relaxation.hard:
                mask_C = (mask_C > 0.5).to(mask_C.dtype)
            product_C = torch.mul(mask_C, weight_N[chunk], out=scratch("product", mask_C))
            masked_N[chunk] = product_C
            total += mask_C.sum()
            norm_sum += norm_part(product_C, norm)
        norm_value = norm_sum.sqrt() if norm == "l2" else norm_sum
        ctx.save_for_backward(soft_N, weight_OI, norm_value)
        ctx.options = relaxation, seed, norm, recompute
        return masked_OI, total, norm_value

    @staticmethod
    def backward(
        ctx: Any, masked_grad_OI: Tensor, total_grad: Tensor, norm_grad: Tensor
    ) -> tuple[Tensor | None, ...]:
        saved_N, weight_OI, norm_value = ctx.saved_tensors
        relaxation, seed, norm, recompute = ctx.options
        weight_N = weight_OI.detach().reshape(-1)
        upstream_N = masked_grad_OI.reshape(-1)
        grad_OI = torch.empty(weight_OI.shape, dtype=saved_N.dtype, device=saved_N.device)
        grad_N = grad_OI.view(-1)
        slope = relaxation.alpha / relaxation.tau
        scale = norm_grad / norm_value.clamp(min=1e-30) if norm == "l2" else norm_grad
        masks = _drawn(saved_N, relaxation, seed) if recompute else _kept(saved_N)
        for chunk, mask_C in masks:
            weight_C = weight_N[chunk].to(saved_N.dtype)
            out_C = grad_N[chunk]
            used_C = (mask_C > 0.5).to(mask_C.dtype) if relaxation.hard else mask_C
            # dL/dM, then times dM/dP = M (1 - M) alpha / tau
            if norm == "l2":
                torch.mul(used_C, weight_C, out=out_C)
                out_C.mul_(scale).add_(upstream_N[chunk]).mul_(weight_C)
            else:
                torch.mul(upstream_N[chunk].to(saved_N.dtype), weight_C, out=out_C)
                if norm == "l1":
                    out_C.add_(weight_C.abs().mul_(scale))
            variance_C = scratch("product", mask_C)
            torch.addcmul(mask_C, mask_C, mask_C, value=-1, out=variance_C)
            out_C.add_(total_grad).mul_(variance_C)
            out_C.mul_(slope)
        return grad_OI, None, None, None, None, None


def _drawn(logits_N: Tensor, relaxation: Relaxation, seed: int) -> Iterator[tuple[slice, Tensor]]:
    """The soft mask chunk by chunk, in one buffer that the next chunk overwrites."""
    random = generator(seed, logits_N.device)
    for chunk in _chunks(len(logits_N), logits_N.device):
        logits_C = logits_N[chunk]
        mask_C = scratch("mask", logits_C)
        _fill_noise(mask_C, relaxation.noise, random)
        mask_C.add_(logits_C, alpha=relaxation.alpha).mul_(1 / relaxation.tau).sigmoid_()
        yield chunk, torch.threshold_(mask_C, FLOOR, 0.0)


def _kept(mask_N: Tensor) -> Iterator[tuple[slice, Tensor]]:
    for chunk in _chunks(len(mask_N), mask_N.device):
        yield chunk, mask_N[chunk]


def _fill_noise(noise_C: Tensor, kind: str, random: torch.Generator) -> None:
    """Overwrite with noise of this kind."""
    uniform(noise_C, random)
    if kind == "logistic":
        noise_C.logit_()
    else:
        noise_C.log_().neg_().log_().neg_()


def uniform(noise_C: Tensor, random: torch.Generator) -> Tensor:
    """Overwrite with numbers from [0, 1] made of 32 random bits, drawn 64 at a time for speed."""
    pairs = scratch("bits", noise_C, torch.int64)[: (len(noise_C) + 1) // 2]
    pairs.random_(-(2**63), None, generator=random)
    return noise_C.copy_(pairs.view(torch.int32)[: len(noise_C)]).mul_(2.0**-32).add_(0.5)


def norm_part(product_C: Tensor, norm: str) -> Tensor | float:
    """What a flat chunk of M * W adds to the square of the norm `l2`, or to the norm `l1`."""
    if norm == "l2":
        return torch.dot(product_C, product_C)
    return torch.linalg.vector_norm(product_C, ord=1) if norm == "l1" else 0.0


class _Buffers(threading.local):
    """Chunk-sized buffers of this thread, used again and again, since making them takes time."""

    def __init__(self) -> None:
        self.tensors: dict[tuple[str, torch.device, torch.dtype], Tensor] = {}


_buffers = _Buffers()


def scratch(name: str, like_C: Tensor, dtype: torch.dtype | None = None) -> Tensor:
    """A buffer with the length, device and (unless given) dtype of `like_C`."""
    key = (name, like_C.device, dtype or like_C.dtype)
    tensor = _buffers.tensors.get(key)
    if tensor is None or len(tensor) < len(like_C):
        tensor = torch.empty(len(like_C), dtype=key[2], device=key[1])
        _buffers.tensors[key] = tensor
    return tensor[: len(like_C)]


def _chunks(elements: int, device: torch.device) -> Iterator[slice]:
    size = _chunk_size(device)
    return (slice(start, start + size) for start in range(0, elements, size))


def _chunk_size(device: torch.device) -> int:
    return _CHUNK_ON_CPU if device.type == "cpu" else _CHUNK_ON_GPU


def generator(seed: int, device: torch.device) -> torch.Generator:
    return torch.Generator(device).manual_seed(seed)
