"""PATCH's gate: tiles of a weight matrix that are dense or N:M sparse.

Hourri, Mozaffari, Mehri Dehnavi 2025, arXiv 2509.23410: one logit a tile, and with
t = sigmoid((alpha * P + g) / tau), logistic noise g, the mask is t + (1 - t) * m, where m is a
fixed N:M mask (`tile`) or MaskLLM's soft one (`joint`). A band is a row of tiles. Axes: O outputs,
I inputs, U by V tiles, B bands of a chunk, H rows of a band, G groups of a row, C groups of a
chunk, K patterns, M positions.
"""

import math
from collections.abc import Iterable, Iterator
from typing import Any

import torch
from torch import Tensor

from leap.distributed.rows import Rows
from leap.methods.patch.tiles import run_sums, shared_tile_weights
from leap.methods.patterns import (
    choice_gradient,
    chosen,
    draw_choice,
    shared_patterns,
)
from leap.methods.relaxation import (
    FLOOR,
    Relaxation,
    generator,
    norm_from,
    norm_part,
    norm_scale,
    overlaps,
    sample_noise,
)

# Weights, or logits of patterns, that are worked through at once, though never less than a band. A
# CPU takes one band, which fits its cache.
_CHUNK_ON_CPU = 1
_CHUNK_ON_GPU = 2**24


def tile_gate(
    logits_UV: Tensor,
    sparse: Tensor,
    weight_OI: Tensor,
    size: int,
    pattern: tuple[int, int],
    relaxation: Relaxation,
    seed: int,
    norm: str = "l2",
    recompute: bool = False,
    rows: Rows | None = None,
) -> tuple[Tensor, Tensor, Tensor]:
    """Masked weight M * W [O, I], sum of M, and norm of M * W (see `Parameterisation.gate`).

    `sparse` is a bool N:M mask [O, I], or the logits [O, G, K] of MaskLLM's choice among the
    patterns N:M, which then receive a gradient too. `pattern` is (N, M), and M divides `size`.
    Where all are some `rows` of a matrix only, whole rows of tiles, they get what they would get
    in all of it.
    """
    n, m = pattern
    rows = rows or Rows(0, len(weight_OI), len(weight_OI))
    whole = -(-rows.of // size), logits_UV.shape[1]
    noise_UV = sample_noise(whole, "logistic", seed, logits_UV)
    noise_UV = noise_UV[_tile_rows(slice(rows.first, rows.stop), size)]
    dense_UV = torch.sigmoid((relaxation.alpha * logits_UV + noise_UV) / relaxation.tau)
    dense_UV = torch.threshold(dense_UV, FLOOR, 0.0)
    if relaxation.hard:  # straight-through
        dense_UV = dense_UV + ((dense_UV > 0.5).to(dense_UV.dtype) - dense_UV).detach()
    shape = weight_OI.shape[0], weight_OI.shape[1]
    weights_UV = shared_tile_weights(shape, size, dense_UV.device)
    kept = (weights_UV * (n / m + (1 - n / m) * dense_UV.double())).sum()
    table_KM = shared_patterns(n, m, dense_UV.dtype, dense_UV.device)
    masked_OI, norm_value = _TileGate.apply(
        dense_UV, sparse, weight_OI, size, table_KM, relaxation.of_patterns, seed, norm, recompute,
        rows,
    )  # fmt: skip
    return masked_OI, kept, norm_value


class _TileGate(torch.autograd.Function):
    """Gate computed over a few bands of tiles at a time."""

    @staticmethod
    def forward(
        ctx: Any,
        dense_UV: Tensor,
        sparse: Tensor,
        weight_OI: Tensor,
        size: int,
        table_KM: Tensor,
        relaxation: Relaxation,
        seed: int,
        norm: str,
        recompute: bool,
        rows: Rows,
    ) -> tuple[Tensor, Tensor]:
        masked_OI = torch.empty_like(weight_OI)
        norm_sum = torch.zeros((), dtype=torch.float64, device=weight_OI.device)
        joint = sparse.dtype != torch.bool
        kept = sparse
        if joint and not recompute:
            kept = torch.empty_like(sparse).view(len(table_KM), -1)
        chunks = list(_chunks(sparse, size, rows))
        drawn = _drawn(sparse, chunks, relaxation, seed) if joint else _fixed(sparse, chunks)
        for here, choice in drawn:
            if joint and not recompute:
                kept[:, _groups(here, sparse.shape[1])] = choice
            dense_B1I = _along_rows(dense_UV, here, size, weight_OI)
            bands = len(dense_B1I)
            sparse_BHI = _sparse_bands(choice, table_KM, relaxation.hard, bands, weight_OI)
            mask_BHI = sparse_BHI + dense_B1I * (1 - sparse_BHI)
            product_BHI = mask_BHI * _bands(weight_OI, here, bands)
            masked_OI[here] = product_BHI.flatten(0, 1)
            norm_sum += norm_part(product_BHI.flatten(), norm)
        norm_value = norm_from(norm_sum, norm)
        ctx.save_for_backward(dense_UV, kept, weight_OI, table_KM, norm_value)
        ctx.options = size, chunks, relaxation, seed, norm, joint, recompute
        return masked_OI, norm_value

    @staticmethod
    def backward(ctx: Any, masked_grad_OI: Tensor, norm_grad: Tensor) -> tuple[Tensor | None, ...]:
        dense_UV, kept, weight_OI, table_KM, norm_value = ctx.saved_tensors
        size, chunks, relaxation, seed, norm, joint, recompute = ctx.options
        dense_grad_UV = torch.empty_like(dense_UV)
        patterns, m = table_KM.shape
        groups = weight_OI.shape[1] // m
        sparse_grad = kept.new_empty(len(weight_OI) * groups, patterns) if joint else None
        scale = norm_scale(norm_grad, norm_value, norm)
        if not joint:
            drawn = _fixed(kept, chunks)
        elif recompute:
            drawn = _drawn(kept, chunks, relaxation, seed)
        else:
            drawn = _kept(kept, chunks, groups)
        for here, choice in drawn:
            dense_B1I = _along_rows(dense_UV, here, size, weight_OI)
            bands = len(dense_B1I)
            sparse_BHI = _sparse_bands(choice, table_KM, relaxation.hard, bands, weight_OI)
            weight_BHI = _bands(weight_OI, here, bands).to(dense_UV.dtype)
            grad_BHI = _bands(masked_grad_OI, here, bands).to(dense_UV.dtype) * weight_BHI
            if norm == "l2":
                mask_BHI = sparse_BHI + dense_B1I * (1 - sparse_BHI)
                grad_BHI += mask_BHI.mul_(weight_BHI.square()).mul_(scale)
            elif norm == "l1":
                grad_BHI += weight_BHI.abs().mul_(scale)
            columns_BI = (grad_BHI * (1 - sparse_BHI)).sum(dim=1)
            dense_grad_UV[_tile_rows(here, size)] = run_sums(columns_BI, size)
            if sparse_grad is not None:
                grad_CM = (grad_BHI * (1 - dense_B1I)).view(-1, m)
                grad_KC = choice_gradient(grad_CM, choice, table_KM, relaxation)
                sparse_grad[_groups(here, groups)] = grad_KC.T
        if sparse_grad is not None:
            sparse_grad = sparse_grad.view(len(weight_OI), groups, patterns)
        return dense_grad_UV, sparse_grad, *[None] * 8


# the rows of a chunk of the whole matrix, and those of them that are here, in the chunk and here
_Chunk = tuple[slice, slice, slice]


def _chunks(sparse: Tensor, size: int, rows: Rows) -> Iterator[_Chunk]:
    """Chunks of bands of equal height; a lower last band is a chunk of its own."""
    chunk = _CHUNK_ON_CPU if sparse.device.type == "cpu" else _CHUNK_ON_GPU
    step = size * max(1, chunk // (size * math.prod(sparse.shape[1:])))
    whole = rows.of // size * size
    chunks = [slice(start, min(start + step, whole)) for start in range(0, whole, step)]
    if whole < rows.of:
        chunks.append(slice(whole, rows.of))
    return overlaps(iter(chunks), slice(rows.first, rows.stop))


def _tile_rows(rows: slice, size: int) -> slice:
    """Rows of tiles that begin in these rows."""
    return slice(-(-rows.start // size), -(-rows.stop // size))


def _groups(rows: slice, groups: int) -> slice:
    """Flat indices of the groups in these rows, with `groups` per row."""
    return slice(rows.start * groups, rows.stop * groups)


def _fixed(sparse_OI: Tensor, chunks: Iterable[_Chunk]) -> Iterator[tuple[slice, Tensor]]:
    return ((here, sparse_OI[here]) for _, _, here in chunks if here.stop > here.start)


def _drawn(
    logits_OGK: Tensor, chunks: Iterable[_Chunk], relaxation: Relaxation, seed: int
) -> Iterator[tuple[slice, Tensor]]:
    """MaskLLM's soft choice [K, C] chunk by chunk, with noise independent of the tiles' noise."""
    random = generator(seed ^ 1, logits_OGK.device)
    groups = logits_OGK.shape[1]
    for whole, inside, here in chunks:
        logits_CK = logits_OGK.detach()[here].flatten(0, 1)
        drawn = groups * (whole.stop - whole.start), _groups(inside, groups)
        choice_KC = draw_choice(logits_CK, relaxation, random, *drawn)
        if here.stop > here.start:
            yield here, choice_KC


def _kept(
    choice_KN: Tensor, chunks: Iterable[_Chunk], groups: int
) -> Iterator[tuple[slice, Tensor]]:
    places = [here for _, _, here in chunks if here.stop > here.start]
    return ((here, choice_KN[:, _groups(here, groups)]) for here in places)


def _bands(values_OI: Tensor, rows: slice, bands: int) -> Tensor:
    """Rows [B, H, I] by band."""
    return values_OI[rows].unflatten(0, (bands, -1))


def _sparse_bands(
    choice: Tensor, table_KM: Tensor, hard: bool, bands: int, weight_OI: Tensor
) -> Tensor:
    """N:M mask [B, H, I] of a chunk, from a fixed mask or from a soft choice [K, C]."""
    fixed = choice.dtype == torch.bool
    sparse = choice.to(table_KM.dtype) if fixed else chosen(choice, table_KM, hard)
    return sparse.view(bands, -1, weight_OI.shape[1])


def _along_rows(dense_UV: Tensor, rows: slice, size: int, weight_OI: Tensor) -> Tensor:
    """Tile values [B, 1, I], the same for all rows of a band."""
    wide_BI = dense_UV[_tile_rows(rows, size)].repeat_interleave(size, dim=1)
    return wide_BI[:, None, : weight_OI.shape[1]]
