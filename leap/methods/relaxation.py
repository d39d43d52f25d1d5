"""Relaxation of masks, shared by all methods: noise, norms, chunks and buffers.

Axes: N elements of a flattened matrix, C elements of a chunk.
"""

import threading
from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch
from torch import Tensor

# A mask below this is zero. It changes no sum, but a weight times it would be subnormal, and with
# such numbers a CPU multiplies a hundred times more slowly.
FLOOR = 1e-30

_CHUNK_ON_CPU = 2**17
_CHUNK_ON_GPU = 2**24


@dataclass(frozen=True)
class Relaxation:
    """Relaxation of a Bernoulli mask: scale, temperature, noise.

    `alpha` scales the logits (`pattern_alpha`, if there is one, those of PATCH's choices among
    patterns), and `tau` is the temperature. `noise` is `logistic`, the difference
    of two Gumbels, or `gumbel`, a single one, whose mean of 0.577 leans towards keeping. With
    `hard` the forward pass uses 1 where M > 0.5 and 0 elsewhere, the backward pass the gradient
    of M (straight-through).
    """

    alpha: float
    tau: float
    noise: str = "logistic"
    hard: bool = False
    pattern_alpha: float | None = None

    @property
    def of_patterns(self) -> "Relaxation":
        """Relaxation of PATCH's choice among patterns."""
        return replace(self, alpha=self.pattern_alpha) if self.pattern_alpha else self


def widened(logits: Tensor) -> Tensor:
    """Logits in the dtype of the gate's arithmetic: float32 for bfloat16."""
    return logits.float() if logits.dtype == torch.bfloat16 else logits


def sample_noise(shape: tuple[int, ...], kind: str, seed: int, like: Tensor) -> Tensor:
    """The noise g that a gate adds to logits of this shape for this seed,
    in the dtype and on the device of `like`."""
    noise = torch.empty(shape, dtype=like.dtype, device=like.device)
    random = generator(seed, like.device)
    for chunk in chunks(noise.numel(), noise.device):
        fill_noise(noise.view(-1)[chunk], kind, random)
    return noise


def fill_noise(noise_C: Tensor, kind: str, random: torch.Generator) -> None:
    """Fill with logistic or Gumbel noise, in place."""
    uniform(noise_C, random)
    if kind == "logistic":
        noise_C.logit_()
    else:
        noise_C.log_().neg_().log_().neg_()


def uniform(noise_C: Tensor, random: torch.Generator) -> Tensor:
    """Fill with uniform numbers from [0, 1] of 32 random bits, drawn 64 at a time for speed."""
    pairs = scratch("bits", noise_C, torch.int64)[: (len(noise_C) + 1) // 2]
    pairs.random_(-(2**63), None, generator=random)
    return noise_C.copy_(pairs.view(torch.int32)[: len(noise_C)]).mul_(2.0**-32).add_(0.5)


def norm_part(product_C: Tensor, norm: str) -> Tensor | float:
    """Contribution of a flat chunk of M * W to the squared norm `l2`, or to the norm `l1`."""
    if norm == "l2":
        return torch.dot(product_C, product_C)
    return torch.linalg.vector_norm(product_C, ord=1) if norm == "l1" else 0.0


def norm_from(parts: Tensor, norm: str) -> Tensor:
    """Norm from the summed contributions of all chunks."""
    return parts.sqrt() if norm == "l2" else parts


def norm_scale(norm_grad: Tensor, norm_value: Tensor, norm: str) -> Tensor:
    """Factor of M * W * W (`l2`) or |W| (`l1`) in dL/dM, from dL/d(norm)."""
    return norm_grad / norm_value.clamp(min=1e-30) if norm == "l2" else norm_grad


class _Buffers(threading.local):
    """Reused chunk-sized buffers of this thread."""

    def __init__(self) -> None:
        self.tensors: dict[tuple[str, torch.device, torch.dtype], Tensor] = {}


_buffers = _Buffers()


def scratch(
    name: str, like_C: Tensor, dtype: torch.dtype | None = None, length: int | None = None
) -> Tensor:
    """Reused buffer with the device and, unless given, the dtype and length of `like_C`."""
    key = (name, like_C.device, dtype or like_C.dtype)
    length = len(like_C) if length is None else length
    tensor = _buffers.tensors.get(key)
    if tensor is None or len(tensor) < length:
        tensor = torch.empty(length, dtype=key[2], device=key[1])
        _buffers.tensors[key] = tensor
    return tensor[:length]


def chunks(elements: int, device: torch.device) -> Iterator[slice]:
    size = _chunk_size(device)
    return (slice(start, min(start + size, elements)) for start in range(0, elements, size))


def overlaps(chunks: Iterator[slice], part: slice) -> Iterator[tuple[slice, slice, slice]]:
    """Chunks of a matrix up to the end of a part, with their overlap with the part.

    With each come the places of what they share, in the chunk and in the part; they share nothing
    where the part begins later. So a part draws the noise that the whole matrix does.
    """
    for chunk in chunks:
        if chunk.start >= part.stop or part.start == part.stop:
            return
        first = max(chunk.start, part.start)
        stop = max(first, min(chunk.stop, part.stop))
        yield (
            chunk,
            slice(first - chunk.start, stop - chunk.start),
            slice(first - part.start, stop - part.start),
        )


def _chunk_size(device: torch.device) -> int:
    return _CHUNK_ON_CPU if device.type == "cpu" else _CHUNK_ON_GPU


def generator(seed: int, device: torch.device) -> torch.Generator:
    return torch.Generator(device).manual_seed(seed)
