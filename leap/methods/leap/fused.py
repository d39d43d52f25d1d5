"""Triton kernels of LEAP's gate, one forward and one backward.

The formulas are those of `leap.methods.leap.gate`. Each kernel reads what it needs of a weight
once and writes its result once, in between all is float32. Nothing is kept from one to the other
but their inputs: the backward pass draws the same noise from the same counters. With weights in
bfloat16 that moves 8 bytes a weight forward and 12 backward. Axes: O outputs, I inputs, P programs,
B elements of a program, C = B / 4 counters of a program.

Noise. Element e has word e mod 4 of Philox-4x32-10 (Salmon et al. 2011, SC '11) with the counter
e div 4 and the 64 bits of the seed as key. So an element's noise depends on its place in the whole
matrix alone, whatever part of it a kernel works on.

Sums. Every program adds up its own elements and writes that down, and torch adds up the programs in
float64. A program's size is fixed, so that no GPU has another order than the next.
"""

from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor

from leap.methods.relaxation import FLOOR, Relaxation, norm_from, norm_scale

_BLOCK = 2048
_WARPS = 4
_FLOOR = tl.constexpr(FLOOR)


def fused_gate(
    logits_OI: Tensor,
    weight_OI: Tensor,
    relaxation: Relaxation,
    seed: int,
    norm: str = "l2",
    first: int = 0,
) -> tuple[Tensor, Tensor, Tensor]:
    """M * W [O, I], sum of M, norm of M * W, as `leap.methods.leap.gate.bernoulli_gate`.

    `first` is the place of the first element in a larger matrix of which these are some rows.
    """
    return _FusedGate.apply(logits_OI, weight_OI, relaxation, seed, norm, first)


class _FusedGate(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        logits_OI: Tensor,
        weight_OI: Tensor,
        relaxation: Relaxation,
        seed: int,
        norm: str,
        first: int,
    ) -> tuple[Tensor, Tensor, Tensor]:
        device = logits_OI.device
        masked_OI = torch.empty(weight_OI.shape, dtype=weight_OI.dtype, device=device)
        programs, place = _places(logits_OI.numel(), first)
        sums_2P = torch.empty(2, programs, device=device)
        ctx.options = *place, seed, *_constants(relaxation), norm
        with torch.cuda.device_of(logits_OI):
            _forward[(programs,)](
                masked_OI, sums_2P, logits_OI.contiguous(), weight_OI.contiguous(),
                *ctx.options, _BLOCK, num_warps=_WARPS,
            )  # fmt: skip
        total, norm_parts = (sums_P.sum(dtype=torch.float64) for sums_P in sums_2P)
        norm_value = norm_from(norm_parts, norm)
        ctx.save_for_backward(logits_OI, weight_OI, norm_value)
        ctx.norm, ctx.programs = norm, programs
        return masked_OI, total, norm_value

    @staticmethod
    def backward(
        ctx: Any, masked_grad_OI: Tensor, total_grad: Tensor, norm_grad: Tensor
    ) -> tuple[Tensor | None, ...]:
        logits_OI, weight_OI, norm_value = ctx.saved_tensors
        grad_OI = torch.empty_like(logits_OI, memory_format=torch.contiguous_format)
        scale = norm_scale(norm_grad, norm_value, ctx.norm)
        scalars_2 = torch.stack([total_grad, scale]).float()
        with torch.cuda.device_of(logits_OI):
            _backward[(ctx.programs,)](
                grad_OI, masked_grad_OI.contiguous(), scalars_2,
                logits_OI.contiguous(), weight_OI.contiguous(),
                *ctx.options, _BLOCK, num_warps=_WARPS,
            )  # fmt: skip
        return grad_OI, None, None, None, None, None


def _places(count: int, first: int) -> tuple[int, tuple[int, int, int]]:
    """Number of programs, and for the kernels: count, first counter, and how many of its four
    words belong to elements before the first."""
    counter, before = divmod(first, 4)
    programs = max(1, triton.cdiv(before + count, _BLOCK))  # one for a part without rows, too
    return programs, (count, counter, before)


def _constants(relaxation: Relaxation) -> tuple[float, float, str, bool]:
    return relaxation.alpha, 1 / relaxation.tau, relaxation.noise, relaxation.hard


# Triton compiles anew for values that are 1 or divide by 16: right for counts, wasted on seeds.
@triton.jit(do_not_specialize=["counter", "seed"])
def _forward(
    masked: tl.tensor,
    sums: tl.tensor,
    logits: tl.tensor,
    weight: tl.tensor,
    count: tl.int64,
    counter: tl.int64,
    before: tl.int64,
    seed: tl.int64,
    alpha: tl.float32,
    rate: tl.float32,
    NOISE: tl.constexpr,
    HARD: tl.constexpr,
    NORM: tl.constexpr,
    BLOCK: tl.constexpr,
) -> None:
    place_B, inside_B = _elements(count, before, BLOCK)
    noise_B = _noise(_bits(seed, counter, BLOCK), NOISE)
    weight_B = tl.load(weight + place_B, inside_B, other=0.0).to(tl.float32)
    logits_B = tl.load(logits + place_B, inside_B, other=0.0).to(tl.float32)
    mask_B = _soft_mask(logits_B, noise_B, alpha, rate)
    if HARD:
        mask_B = (mask_B > 0.5).to(tl.float32)
    product_B = mask_B * weight_B
    tl.store(masked + place_B, product_B.to(masked.dtype.element_ty), inside_B)
    sums += tl.program_id(0)
    tl.store(sums, tl.sum(tl.where(inside_B, mask_B, 0.0)))
    norm_part = 0.0
    if NORM == "l2":
        norm_part = tl.sum(product_B * product_B)
    elif NORM == "l1":
        norm_part = tl.sum(tl.abs(product_B))
    tl.store(sums + tl.num_programs(0), norm_part)


@triton.jit(do_not_specialize=["counter", "seed"])
def _backward(
    grad: tl.tensor,
    upstream: tl.tensor,
    scalars: tl.tensor,
    logits: tl.tensor,
    weight: tl.tensor,
    count: tl.int64,
    counter: tl.int64,
    before: tl.int64,
    seed: tl.int64,
    alpha: tl.float32,
    rate: tl.float32,
    NOISE: tl.constexpr,
    HARD: tl.constexpr,
    NORM: tl.constexpr,
    BLOCK: tl.constexpr,
) -> None:
    place_B, inside_B = _elements(count, before, BLOCK)
    noise_B = _noise(_bits(seed, counter, BLOCK), NOISE)
    weight_B = tl.load(weight + place_B, inside_B, other=0.0).to(tl.float32)
    logits_B = tl.load(logits + place_B, inside_B, other=0.0).to(tl.float32)
    mask_B = _soft_mask(logits_B, noise_B, alpha, rate)
    # dL/dM, then times dM/dP = M (1 - M) alpha / tau
    slope_B = tl.load(upstream + place_B, inside_B, other=0.0).to(tl.float32)
    scale = tl.load(scalars + 1)
    if NORM == "l2":
        used_B = (mask_B > 0.5).to(tl.float32) if HARD else mask_B
        slope_B = (slope_B + scale * used_B * weight_B) * weight_B
    elif NORM == "l1":
        slope_B = slope_B * weight_B + scale * tl.abs(weight_B)
    else:
        slope_B = slope_B * weight_B
    slope_B += tl.load(scalars)
    slope_B *= mask_B * (1 - mask_B) * (alpha * rate)
    tl.store(grad + place_B, slope_B.to(grad.dtype.element_ty), inside_B)


@triton.jit
def _elements(
    count: tl.tensor, before: tl.tensor, BLOCK: tl.constexpr
) -> tuple[tl.tensor, tl.tensor]:
    """Indices of this program's elements in the matrix, and which of them exist."""
    place_B = tl.program_id(0).to(tl.int64) * BLOCK - before + tl.arange(0, BLOCK)
    return place_B, (place_B >= 0) & (place_B < count)


@triton.jit
def _soft_mask(
    logits_B: tl.tensor, noise_B: tl.tensor, alpha: tl.tensor, rate: tl.tensor
) -> tl.tensor:
    mask_B = tl.sigmoid((alpha * logits_B + noise_B) * rate)
    return tl.where(mask_B > _FLOOR, mask_B, 0.0)


@triton.jit
def _noise(bits_B: tl.tensor, NOISE: tl.constexpr) -> tl.tensor:
    """Noise from 32 random bits, always finite.

    31 bits say how far u, uniform on (0, 1), is from the nearer of the two ends, and the sign which
    end that is. As a float32 the distance is fine at both ends, down to 2^-33.
    """
    distance_B = ((bits_B & 0x7FFFFFFF).to(tl.float32) + 0.5) * 2.0**-32
    is_low_B = bits_B >= 0
    if NOISE == "logistic":  # log(u / (1 - u))
        low_B = tl.log(distance_B / (1 - distance_B))
        return tl.where(is_low_B, low_B, -low_B)
    # -log(-log(u))
    return -tl.log(tl.where(is_low_B, -tl.log(distance_B), _minus_log1m(distance_B)))


@triton.jit
def _minus_log1m(x_B: tl.tensor) -> tl.tensor:
    """-log(1 - x) for x in (0, 1/2], where 1 - x in float32 would lose the digits of a small x."""
    series_B = x_B * (1 + x_B * (1 / 2 + x_B * (1 / 3 + x_B * (1 / 4 + x_B * (1 / 5)))))
    return tl.where(x_B < 2.0**-5, series_B, -tl.log(1 - x_B))


@triton.jit
def _bits(seed: tl.tensor, counter: tl.tensor, BLOCK: tl.constexpr) -> tl.tensor:
    """32 random bits for each of this program's elements, int32: four from each counter."""
    start = counter + tl.program_id(0).to(tl.int64) * (BLOCK // 4)
    counter_C = start + tl.arange(0, BLOCK // 4)
    low_C, high_C = counter_C.to(tl.uint32), (counter_C >> 32).to(tl.uint32)
    a_C, b_C, c_C, d_C = tl.philox(seed, low_C, high_C, high_C * 0, high_C * 0)
    bits_B = tl.interleave(tl.interleave(a_C, c_C), tl.interleave(b_C, d_C))
    return bits_B.to(tl.int32, bitcast=True)
