"""N of every M consecutive inputs of a row survive: the patterns, and a soft choice among them.

MaskLLM (Fang et al. 2024, arXiv 2409.17481): each group of M weights has one logit a pattern, and
its soft mask is softmax((alpha * P + g) / tau), Gumbel noise g, times the patterns. Axes: O
outputs, I inputs, G = I / M groups of a row, N groups of a flattened matrix, K patterns, M
positions.
"""

from collections.abc import Iterator
from functools import lru_cache
from itertools import combinations
from typing import Any

import torch
from torch import Tensor

from leap.gates import FLOOR, Relaxation, generator, norm_part, scratch, uniform
from leap.hardening import refuse_nan

_MOST_PATTERNS = 128
_LOGITS_ON_CPU = 2**16
_LOGITS_ON_GPU = 2**23


def patterns(n: int, m: int) -> Tensor:
    """All masks of a group with `n` of `m` ones, float32 [K, M], in lexicographic order."""
    return _patterns(n, m).clone()


def first_pattern_logits(
    shape: tuple[int, int], n: int, m: int, std: float, seed: int, prior_OI: Tensor | None,
    strength: float,
) -> Tensor:  # fmt: skip
    """N(0, std^2) [O, G, K] float32, raised for patterns that share much with a prior mask.

    A pattern gets strength * std * (kept positions that it shares with the prior - n^2 / m): for
    2:4 this is one less than it shares. The largest noise of a group goes to the prior's own
    pattern, so that the first choice is the prior; its law is otherwise untouched. Raises
    ValueError where M does not divide the inputs or the prior is no such mask.
    """
    if shape[1] % m:
        raise ValueError(f"{shape[1]} inputs are no multiple of {m}: {n}:{m} does not fit")
    table_KM = _patterns(n, m)
    random = torch.Generator().manual_seed(seed)
    logits_OGK = torch.empty(shape[0], shape[1] // m, len(table_KM))
    logits_OGK.normal_(0, std, generator=random)
    if prior_OI is None:
        return logits_OGK
    groups_OGM = prior_OI.float().view(shape[0], shape[1] // m, m)
    if prior_OI.shape != shape or (groups_OGM.sum(dim=2) != n).any():
        raise ValueError(f"the prior mask does not keep {n} of every {m} inputs of this layer")
    shared_OGK = groups_OGM @ table_KM.T
    own_OG1 = shared_OGK.argmax(dim=2, keepdim=True)
    largest, place_OG1 = logits_OGK.max(dim=2, keepdim=True)
    logits_OGK.scatter_(2, place_OG1, logits_OGK.gather(2, own_OG1)).scatter_(2, own_OG1, largest)
    return logits_OGK + strength * std * (shared_OGK - n * n / m)


def pattern_masks(logits_OGK: Tensor, n: int, m: int) -> Tensor:
    """Bool mask [O, I] of the pattern with the largest logit in each group; the first among equals.

    Raises ValueError for NaN.
    """
    refuse_nan(logits_OGK)
    table_KM = _patterns(n, m).bool().to(logits_OGK.device)
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
) -> tuple[Tensor, Tensor, Tensor]:
    """Masked weight M * W [O, I], sum of M (always N * n), and norm of M * W, as `leap.gates.gate`.

    Only the logits receive a gradient. With `recompute` the backward pass draws the choice again
    instead of keeping it (K / M floats a weight).
    """
    table_KM = _patterns(n, m).to(logits_OGK)
    masked_OI, norm_value = _PatternGate.apply(
        logits_OGK, weight_OI, table_KM, relaxation, seed, norm, recompute
    )
    kept = torch.tensor(weight_OI.numel() * n / m, dtype=torch.float64, device=weight_OI.device)
    return masked_OI, kept, norm_value


def sample_gumbel(shape: tuple[int, ...], seed: int, like: Tensor) -> Tensor:
    """The noise g that `pattern_gate` adds to logits of this shape for this seed."""
    noise_NK = torch.empty(shape, dtype=like.dtype, device=like.device).view(-1, shape[-1])
    random = generator(seed, like.device)
    for rows in _rows(noise_NK):
        noise_NK[rows] = gumbel(noise_NK[rows], random).T
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
    ) -> tuple[Tensor, Tensor]:
        logits_NK = logits_OGK.detach().reshape(-1, len(table_KM))
        weight_NM = weight_OI.detach().reshape(-1, table_KM.shape[1])
        masked_OI = torch.empty(weight_OI.shape, dtype=weight_OI.dtype, device=weight_OI.device)
        masked_NM = masked_OI.view(weight_NM.shape)
        kept = logits_NK if recompute else torch.empty_like(logits_NK).view(len(table_KM), -1)
        norm_sum = torch.zeros((), dtype=torch.float64, device=weight_OI.device)
        for rows, choice_KC in _drawn(logits_NK, relaxation, seed):
            if not recompute:
                kept[:, rows] = choice_KC
            product_CM = chosen(choice_KC, table_KM, relaxation.hard).mul_(weight_NM[rows])
            masked_NM[rows] = product_CM
            norm_sum += norm_part(product_CM.view(-1), norm)
        norm_value = norm_sum.sqrt() if norm == "l2" else norm_sum
        ctx.save_for_backward(kept, weight_OI, table_KM, norm_value)
        ctx.options = relaxation, seed, norm, recompute, logits_OGK.shape
        return masked_OI, norm_value

    @staticmethod
    def backward(ctx: Any, masked_grad_OI: Tensor, norm_grad: Tensor) -> tuple[Tensor | None, ...]:
        kept, weight_OI, table_KM, norm_value = ctx.saved_tensors
        relaxation, seed, norm, recompute, shape = ctx.options
        weight_NM = weight_OI.detach().reshape(-1, table_KM.shape[1])
        upstream_NM = masked_grad_OI.reshape(weight_NM.shape)
        grad_NK = torch.empty(len(weight_NM), len(table_KM), dtype=kept.dtype, device=kept.device)
        scale = norm_grad / norm_value.clamp(min=1e-30) if norm == "l2" else norm_grad
        choices = _drawn(kept, relaxation, seed) if recompute else _kept(kept)
        for rows, choice_KC in choices:
            weight_CM = weight_NM[rows].to(kept.dtype)
            grad_CM = upstream_NM[rows].to(kept.dtype) * weight_CM
            if norm == "l2":
                mask_CM = chosen(choice_KC, table_KM, relaxation.hard)
                grad_CM.add_(mask_CM.mul_(weight_CM.square()).mul_(scale))
            elif norm == "l1":
                grad_CM.add_(weight_CM.abs().mul_(scale))
            grad_NK[rows] = choice_gradient(grad_CM, choice_KC, table_KM, relaxation).T
        return grad_NK.view(shape), None, None, None, None, None, None


# Within a chunk patterns come first and groups last: a softmax over a last axis of six is fifty
# times slower on a CPU.


def draw_choice(logits_CK: Tensor, relaxation: Relaxation, random: torch.Generator) -> Tensor:
    """A chunk's soft choice [K, C], in a buffer that the next chunk overwrites."""
    scores_KC = gumbel(logits_CK, random)
    scores_KC.add_(logits_CK.T, alpha=relaxation.alpha).mul_(1 / relaxation.tau)
    choice_KC = scratch("choice", scores_KC.view(-1)).view(scores_KC.shape)
    torch.softmax(scores_KC, dim=0, out=choice_KC)
    return torch.threshold_(choice_KC, FLOOR, 0.0)


def chosen(choice_KC: Tensor, table_KM: Tensor, hard: bool) -> Tensor:
    """The mask [C, M] of a soft choice, or of its largest pattern."""
    return table_KM[choice_KC.argmax(dim=0)] if hard else choice_KC.T @ table_KM


def choice_gradient(
    grad_CM: Tensor, choice_KC: Tensor, table_KM: Tensor, relaxation: Relaxation
) -> Tensor:
    """From dL/dM of a chunk's mask to dL/dP [K, C] of its logits, through the softmax."""
    grad_KC = table_KM @ grad_CM.T
    grad_KC.mul_(choice_KC)
    grad_KC.addcmul_(choice_KC, grad_KC.sum(dim=0, keepdim=True), value=-1)
    return grad_KC.mul_(relaxation.alpha / relaxation.tau)


def gumbel(logits_CK: Tensor, random: torch.Generator) -> Tensor:
    """Standard Gumbel noise [K, C] for a chunk's logits, in a buffer used again and again."""
    noise_KC = scratch("noise", logits_CK.reshape(-1)).view(logits_CK.shape[::-1])
    # below 1, at which the noise is infinite and its softmax no number
    uniform(noise_KC.view(-1), random).clamp_(max=1 - 2**-24).log_().neg_().log_().neg_()
    return noise_KC


def _drawn(logits_NK: Tensor, relaxation: Relaxation, seed: int) -> Iterator[tuple[slice, Tensor]]:
    random = generator(seed, logits_NK.device)
    for rows in _rows(logits_NK):
        yield rows, draw_choice(logits_NK[rows], relaxation, random)


def _kept(choice_KN: Tensor) -> Iterator[tuple[slice, Tensor]]:
    for rows in _rows(choice_KN.T):
        yield rows, choice_KN[:, rows]


def _rows(table_NK: Tensor) -> Iterator[slice]:
    groups, count = table_NK.shape
    logits = _LOGITS_ON_CPU if table_NK.device.type == "cpu" else _LOGITS_ON_GPU
    step = max(2, logits // count // 2 * 2)
    return (slice(start, start + step) for start in range(0, groups, step))


@lru_cache
def _patterns(n: int, m: int) -> Tensor:
    chosen = list(combinations(range(m), n)) if 0 < n < m else []
    if not 0 < len(chosen) <= _MOST_PATTERNS:
        raise ValueError(
            f"{n}:{m} has {len(chosen)} patterns, but one logit is learned for each of them: "
            f"between 1 and {_MOST_PATTERNS} are possible, as in 1:4, 2:4 and 4:8"
        )
    table_KM = torch.zeros(len(chosen), m)
    for row_M, positions in zip(table_KM, chosen, strict=True):
        row_M[list(positions)] = 1
    return table_KM.flip(0)
