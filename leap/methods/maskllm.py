"""MaskLLM: a learned choice among the N:M patterns of each group of weights.

Fang et al. 2024, arXiv 2409.17481. Patterns and soft choice are in `leap.methods.patterns`. Axes:
O outputs, I inputs, G = I / M groups of a row, N groups of a flattened matrix, K patterns, M
positions.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from leap.checks import refuse_nan
from leap.distributed.rows import Rows
from leap.methods.parameterisation import Draw, Learned, Parts, Start
from leap.methods.patterns import (
    choice_gradient,
    chosen,
    draw_choice,
    first_pattern_logits,
    gumbel,
    numbers_of,
    patterns,
    shared_patterns,
)
from leap.methods.relaxation import (
    Relaxation,
    generator,
    norm_from,
    norm_part,
    norm_scale,
    overlaps,
    widened,
)
from leap.settings import Settings

_LOGITS_ON_CPU = 2**16
_LOGITS_ON_GPU = 2**23


def from_settings(values: Mapping[str, Any]) -> "MaskLLM":
    """Parameterisation for the setting `pattern`. Raises ValueError if it is not "N:M"."""
    return MaskLLM(*numbers_of(values["pattern"]))


@dataclass(frozen=True)
class MaskLLM:
    """One logit per N:M pattern of each group."""

    method: ClassVar[str] = "maskllm"

    n: int
    m: int
    row_block: ClassVar[int] = 1

    def check(self, settings: Settings, has_sparse: bool) -> None:
        patterns(self.n, self.m)  # refuses those with too many
        if abs(settings.sparsity - (1 - self.n / self.m)) > 1e-9:
            raise ValueError(
                f"sparsity is {settings.sparsity}, but the pattern {self.n}:{self.m} has "
                f"{1 - self.n / self.m} and no other"
            )

    def first(self, start: Start) -> dict[str, Tensor]:
        std, strength = start.settings.init_std, start.settings.prior_strength
        options = std, start.seed, start.prior_OI, strength
        return {"logits": first_pattern_logits(start.shape, self.n, self.m, *options)}

    def gate(self, logits: Parts, weight_OI: Tensor, draw: Draw) -> tuple[Tensor, Tensor, Tensor]:
        return pattern_gate(widened(logits["logits"]), weight_OI, self.n, self.m, *draw.options)


def masks(learned: Learned) -> dict[str, Tensor]:
    """Bool masks [O, I] by layer name: in each group the pattern of the largest logit."""
    method: Any = learned.parameterisation
    return {n: pattern_masks(learned.logits[n], method.n, method.m) for n in learned.shapes}


def pattern_masks(logits_OGK: Tensor, n: int, m: int) -> Tensor:
    """Bool mask [O, I] of the pattern with the largest logit in each group, the first of equals.

    Raises ValueError for NaN.
    """
    refuse_nan(logits_OGK)
    table_KM = patterns(n, m).bool().to(logits_OGK.device)
    return table_KM[logits_OGK.argmax(dim=2)].flatten(1)


def pattern_gate(
    logits_OGK: Tensor,
    weight_OI: Tensor,
    n: int,
    m: int,
    relaxation: Relaxation,
    seed: int,
    norm: str = "l2",
    recompute: bool = False,
    rows: Rows | None = None,
) -> tuple[Tensor, Tensor, Tensor]:
    """Masked weight M * W [O, I], sum of M (always N * n), and norm of M * W.

    Only the logits receive a gradient. With `recompute` the backward pass draws the choice again
    instead of keeping it (K / M floats a weight). Where logits and weights are some `rows` of a
    matrix only, they get what they would get in all of it.
    """
    rows = rows or Rows(0, len(weight_OI), len(weight_OI))
    table_KM = shared_patterns(n, m, logits_OGK.dtype, logits_OGK.device)
    masked_OI, norm_value = _PatternGate.apply(
        logits_OGK, weight_OI, table_KM, relaxation, seed, norm, recompute, rows
    )
    # filled on the device; `torch.tensor` would make it here and wait until it is there
    kept = torch.full((), weight_OI.numel() * n / m, dtype=torch.float64, device=weight_OI.device)
    return masked_OI, kept, norm_value


def sample_gumbel(shape: tuple[int, ...], seed: int, like: Tensor) -> Tensor:
    """Noise g that `pattern_gate` adds to logits of this shape for this seed."""
    noise_NK = torch.empty(shape, dtype=like.dtype, device=like.device).view(-1, shape[-1])
    random = generator(seed, like.device)
    for chunk in _chunks(noise_NK.shape, like.device):
        noise_NK[chunk] = gumbel(noise_NK[chunk].shape[::-1], like, random).T
    return noise_NK.view(shape)


class _PatternGate(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        logits_OGK: Tensor,
        weight_OI: Tensor,
        table_KM: Tensor,
        relaxation: Relaxation,
        seed: int,
        norm: str,
        recompute: bool,
        rows: Rows,
    ) -> tuple[Tensor, Tensor]:
        logits_NK = logits_OGK.detach().reshape(-1, len(table_KM))
        weight_NM = weight_OI.detach().reshape(-1, table_KM.shape[1])
        masked_OI = torch.empty(weight_OI.shape, dtype=weight_OI.dtype, device=weight_OI.device)
        masked_NM = masked_OI.view(weight_NM.shape)
        kept = logits_NK if recompute else torch.empty_like(logits_NK).view(len(table_KM), -1)
        norm_sum = torch.zeros((), dtype=torch.float64, device=weight_OI.device)
        for chunk, choice_KC in _drawn(logits_NK, relaxation, seed, rows):
            if not recompute:
                kept[:, chunk] = choice_KC
            product_CM = chosen(choice_KC, table_KM, relaxation.hard).mul_(weight_NM[chunk])
            masked_NM[chunk] = product_CM
            norm_sum += norm_part(product_CM.view(-1), norm)
        norm_value = norm_from(norm_sum, norm)
        ctx.save_for_backward(kept, weight_OI, table_KM, norm_value)
        ctx.options = relaxation, seed, norm, recompute, rows, logits_OGK.shape
        return masked_OI, norm_value

    @staticmethod
    def backward(ctx: Any, masked_grad_OI: Tensor, norm_grad: Tensor) -> tuple[Tensor | None, ...]:
        kept, weight_OI, table_KM, norm_value = ctx.saved_tensors
        relaxation, seed, norm, recompute, rows, shape = ctx.options
        weight_NM = weight_OI.detach().reshape(-1, table_KM.shape[1])
        upstream_NM = masked_grad_OI.reshape(weight_NM.shape)
        grad_NK = torch.empty(len(weight_NM), len(table_KM), dtype=kept.dtype, device=kept.device)
        scale = norm_scale(norm_grad, norm_value, norm)
        choices = _drawn(kept, relaxation, seed, rows) if recompute else _kept(kept)
        for chunk, choice_KC in choices:
            weight_CM = weight_NM[chunk].to(kept.dtype)
            grad_CM = upstream_NM[chunk].to(kept.dtype) * weight_CM
            if norm == "l2":
                mask_CM = chosen(choice_KC, table_KM, relaxation.hard)
                grad_CM.add_(mask_CM.mul_(weight_CM.square()).mul_(scale))
            elif norm == "l1":
                grad_CM.add_(weight_CM.abs().mul_(scale))
            grad_NK[chunk] = choice_gradient(grad_CM, choice_KC, table_KM, relaxation).T
        return grad_NK.view(shape), *[None] * 7


def _drawn(
    logits_NK: Tensor, relaxation: Relaxation, seed: int, rows: Rows
) -> Iterator[tuple[slice, Tensor]]:
    random = generator(seed, logits_NK.device)
    here, count = logits_NK.shape
    in_a_row = here // max(1, rows.height)
    part = slice(rows.first * in_a_row, rows.stop * in_a_row)
    chunks = _chunks((rows.of * in_a_row, count), logits_NK.device)
    for whole, inside, chunk in overlaps(chunks, part):
        groups = whole.stop - whole.start
        yield chunk, draw_choice(logits_NK[chunk], relaxation, random, groups, inside)


def _kept(choice_KN: Tensor) -> Iterator[tuple[slice, Tensor]]:
    for chunk in _chunks(choice_KN.T.shape, choice_KN.device):
        yield chunk, choice_KN[:, chunk]


def _chunks(shape_NK: tuple[int, ...], device: torch.device) -> Iterator[slice]:
    groups, count = shape_NK
    logits = _LOGITS_ON_CPU if device.type == "cpu" else _LOGITS_ON_GPU
    step = max(2, logits // count // 2 * 2)
    return (slice(start, min(start + step, groups)) for start in range(0, groups, step))
