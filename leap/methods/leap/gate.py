"""LEAP's gate, M = sigmoid((alpha * P + g) / tau), over frozen weights W.

The binary concrete relaxation of one Bernoulli gate per weight (LEAP, arXiv 2605.17289, section
"Learnable masks"). Axes: O outputs, I inputs, N elements of a flattened matrix.

Everything that is needed of one weight comes out of a single autograd function. The one here works
through the matrix in chunks that fit a CPU's cache. For its backward pass it keeps the mask, or
nothing: the noise is drawn from a generator that can be seeded again. On a GPU it is that of
`leap.methods.leap.fused`.
"""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from leap.distributed.rows import Rows
from leap.methods.relaxation import (
    FLOOR,
    Relaxation,
    chunks,
    fill_noise,
    generator,
    norm_from,
    norm_part,
    norm_scale,
    overlaps,
    scratch,
    widened,
)


def bernoulli_gate(
    logits_OI: Tensor,
    weight_OI: Tensor,
    relaxation: Relaxation,
    seed: int,
    norm: str = "l2",
    recompute: bool = False,
    rows: Rows | None = None,
) -> tuple[Tensor, Tensor, Tensor]:
    """Masked weight M * W [O, I], sum of M, and norm of M * W (`l2` Frobenius, `l1`, or `none`).

    The mask is drawn anew from `seed`; equal seeds give equal masks. Only `logits_OI` receives a
    gradient. The masked weight has the weight's dtype, both scalars are float64. With `recompute`
    the backward pass draws the mask again, which saves its memory (4 bytes a weight); on a GPU it
    always does. GPU and CPU draw different masks from one seed. Where logits and weights are some
    `rows` of a matrix only, they get what they would get in all of it.
    """
    rows = rows or Rows(0, len(weight_OI), len(weight_OI))
    if logits_OI.is_cuda:
        from leap.methods.leap.fused import fused_gate  # Triton comes with torch for GPUs alone

        first = rows.first * weight_OI.shape[1]
        return fused_gate(logits_OI, weight_OI, relaxation, seed, norm, first)
    return _Gate.apply(widened(logits_OI), weight_OI, relaxation, seed, norm, recompute, rows)


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
        rows: Rows,
    ) -> tuple[Tensor, Tensor, Tensor]:
        logits_N, weight_N = logits_OI.detach().reshape(-1), weight_OI.detach().reshape(-1)
        masked_OI = torch.empty(weight_OI.shape, dtype=weight_OI.dtype, device=weight_OI.device)
        masked_N = masked_OI.view(-1)
        soft_N = logits_N if recompute else torch.empty_like(logits_N)
        total = torch.zeros((), dtype=torch.float64, device=logits_N.device)
        norm_sum = torch.zeros_like(total)
        for chunk, mask_C in _drawn(logits_N, relaxation, seed, rows):
            if not recompute:
                soft_N[chunk] = mask_C
            if relaxation.hard:
                mask_C = (mask_C > 0.5).to(mask_C.dtype)
            product_C = torch.mul(mask_C, weight_N[chunk], out=scratch("product", mask_C))
            masked_N[chunk] = product_C
            total += mask_C.sum()
            norm_sum += norm_part(product_C, norm)
        norm_value = norm_from(norm_sum, norm)
        ctx.save_for_backward(soft_N, weight_OI, norm_value)
        ctx.options = relaxation, seed, norm, recompute, rows
        return masked_OI, total, norm_value

    @staticmethod
    def backward(
        ctx: Any, masked_grad_OI: Tensor, total_grad: Tensor, norm_grad: Tensor
    ) -> tuple[Tensor | None, ...]:
        saved_N, weight_OI, norm_value = ctx.saved_tensors
        relaxation, seed, norm, recompute, rows = ctx.options
        weight_N = weight_OI.detach().reshape(-1)
        upstream_N = masked_grad_OI.reshape(-1)
        grad_OI = torch.empty(weight_OI.shape, dtype=saved_N.dtype, device=saved_N.device)
        grad_N = grad_OI.view(-1)
        slope = relaxation.alpha / relaxation.tau
        scale = norm_scale(norm_grad, norm_value, norm)
        masks = _drawn(saved_N, relaxation, seed, rows) if recompute else _kept(saved_N)
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
        return grad_OI, *[None] * 6


def _drawn(
    logits_N: Tensor, relaxation: Relaxation, seed: int, rows: Rows
) -> Iterator[tuple[slice, Tensor]]:
    """Soft mask chunk by chunk, in a buffer that the next chunk overwrites."""
    random = generator(seed, logits_N.device)
    inputs = len(logits_N) // max(1, rows.height)
    part = slice(rows.first * inputs, rows.stop * inputs)
    for whole, inside, here in overlaps(chunks(rows.of * inputs, logits_N.device), part):
        mask_C = scratch("mask", logits_N, length=whole.stop - whole.start)
        fill_noise(mask_C, relaxation.noise, random)
        mask_C = mask_C[inside].add_(logits_N[here], alpha=relaxation.alpha)
        mask_C.mul_(1 / relaxation.tau).sigmoid_()
        yield here, torch.threshold_(mask_C, FLOOR, 0.0)


def _kept(mask_N: Tensor) -> Iterator[tuple[slice, Tensor]]:
    for chunk in chunks(len(mask_N), mask_N.device):
        yield chunk, mask_N[chunk]
