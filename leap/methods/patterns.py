"""N:M patterns (N of every M consecutive inputs survive) and a soft choice among them.

What MaskLLM (Fang et al. 2024, arXiv 2409.17481) and PATCH's sparse tiles share: each group of M
weights has one logit a pattern, and its soft mask is softmax((alpha * P + g) / tau), Gumbel noise
g, times the patterns. Axes: O outputs, I inputs, G = I / M groups of a row, C groups of a chunk,
K patterns, M positions.
"""

import math
from functools import lru_cache
from itertools import combinations

import torch
from torch import Tensor

from leap.methods.relaxation import FLOOR, Relaxation, scratch, uniform

_MOST_PATTERNS = 128


def numbers_of(pattern: str) -> tuple[int, int]:
    """(N, M) of a pattern "N:M". Raises ValueError for anything else."""
    n, colon, m = pattern.partition(":")
    if not (colon and n.isdecimal() and m.isdecimal()):
        raise ValueError(f'pattern is {pattern!r}, but must be written "N:M", as in "2:4"')
    return int(n), int(m)


def patterns(n: int, m: int) -> Tensor:
    """All masks of a group with `n` of `m` ones, float32 [K, M], in lexicographic order."""
    return _patterns(n, m).clone()


@lru_cache
@torch.inference_mode(False)
def shared_patterns(n: int, m: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """`patterns` on a device, cached: read-only."""
    return patterns(n, m).to(device, dtype)


def first_pattern_logits(
    shape: tuple[int, int], n: int, m: int, std: float, seed: int, prior_OI: Tensor | None,
    strength: float,
) -> Tensor:  # fmt: skip
    """Initial logits [O, G, K], float32: N(0, std^2), raised for patterns close to a prior mask.

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


# Within a chunk patterns come first and groups last: a softmax over a last axis of six is fifty
# times slower on a CPU.


def draw_choice(
    logits_CK: Tensor, relaxation: Relaxation, random: torch.Generator, groups: int, inside: slice
) -> Tensor:
    """Soft choice [K, C] of a chunk, in a buffer that the next chunk overwrites.

    Noise is drawn for all `groups` of a chunk, of which the logits are those `inside`.
    """
    scores_KC = gumbel((logits_CK.shape[1], groups), logits_CK, random)[:, inside]
    scores_KC.add_(logits_CK.T, alpha=relaxation.alpha).mul_(1 / relaxation.tau)
    choice_KC = scratch("choice", logits_CK.reshape(-1)).view(scores_KC.shape)
    torch.softmax(scores_KC, dim=0, out=choice_KC)
    return torch.threshold_(choice_KC, FLOOR, 0.0)


def chosen(choice_KC: Tensor, table_KM: Tensor, hard: bool) -> Tensor:
    """Mask [C, M] of a soft choice, or of its largest pattern."""
    return table_KM[choice_KC.argmax(dim=0)] if hard else choice_KC.T @ table_KM


def choice_gradient(
    grad_CM: Tensor, choice_KC: Tensor, table_KM: Tensor, relaxation: Relaxation
) -> Tensor:
    """dL/dP [K, C] of a chunk's logits from dL/dM of its mask, through the softmax."""
    grad_KC = table_KM @ grad_CM.T
    grad_KC.mul_(choice_KC)
    grad_KC.addcmul_(choice_KC, grad_KC.sum(dim=0, keepdim=True), value=-1)
    return grad_KC.mul_(relaxation.alpha / relaxation.tau)


def gumbel(shape_KC: tuple[int, ...], like: Tensor, random: torch.Generator) -> Tensor:
    """Standard Gumbel noise [K, C] for a chunk's logits, in a reused buffer.

    Its dtype and device are those of `like`.
    """
    noise_KC = scratch("noise", like.reshape(-1), length=math.prod(shape_KC)).view(shape_KC)
    # below 1, at which the noise is infinite and its softmax no number
    uniform(noise_KC.view(-1), random).clamp_(max=1 - 2**-24).log_().neg_().log_().neg_()
    return noise_KC


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
