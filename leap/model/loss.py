"""Language-modelling loss, with the logits of a chunk of positions at a time.

Axes: B sequences, T tokens, N positions of all sequences, C of a chunk, H hidden features, V
vocabulary, K values.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, kl_div, log_softmax
from torch.utils.checkpoint import checkpoint

from leap.model.head import Head
from leap.model.products import exact_products

if TYPE_CHECKING:
    from transformers import PreTrainedModel

_NO_TARGET = -100

# Sums [K] over a chunk's positions, of which the first is differentiated: from hidden states [C, H]
# and the rows of the chunk among all positions
OfChunk = Callable[[Tensor, slice], Tensor]


def lm_loss_of(causal_lm: nn.Module) -> Callable[[Tensor], Tensor]:
    """Loss function of token ids [B, T]: mean cross-entropy of every token but the first.

    With a frozen head the gradient is the hidden states' only; a trained head gets one too. Where
    the model makes its logits in a way of its own, all of them are there at once, as it makes them.
    """
    model = cast("PreTrainedModel", causal_lm)
    try:
        head = Head(model)
    except ValueError:
        return lambda ids_BT: model(input_ids=ids_BT, labels=ids_BT, use_cache=False).loss

    def in_chunks(ids_BT: Tensor) -> Tensor:
        hidden_NH, next_N = _hidden(head, ids_BT), _next(ids_BT)
        targets = (next_N != _NO_TARGET).sum()

        def of_chunk(hidden_CH: Tensor, rows: slice) -> Tensor:
            return _cross_entropy(head.logits(hidden_CH), next_N[rows])[None]

        if any(parameter.requires_grad for parameter in head.linear.parameters()):
            return _recomputed(hidden_NH, head, of_chunk) / targets
        loss_K: Tensor = _Chunked.apply(hidden_NH, targets, head, of_chunk)
        return loss_K[0]

    return in_chunks


def distillation_loss_of(
    causal_lm: nn.Module, share: float, teacher: Callable[[], AbstractContextManager[None]]
) -> Callable[[Tensor], Tensor]:
    """Function of token ids [B, T] that returns [loss, LM loss, KL divergence], means over tokens.

    The loss is (1 - share) * LM loss + share * KL(teacher || model), over the full vocabulary. In
    the context `teacher()` the model computes the teacher's hidden states, of which those of one
    micro-batch are kept; the head is frozen and common to both. Raises ValueError where the model
    makes its logits in a way of its own.
    """
    try:
        head = Head(cast("PreTrainedModel", causal_lm))
    except ValueError as error:
        raise ValueError(f"distil: {error}, so only distil: 0 is possible") from None

    def in_chunks(ids_BT: Tensor) -> Tensor:
        with teacher():
            wanted_NH = _hidden(head, ids_BT)
        hidden_NH, next_N = _hidden(head, ids_BT), _next(ids_BT)
        is_target_N = next_N != _NO_TARGET

        def of_chunk(hidden_CH: Tensor, rows: slice) -> Tensor:
            logits_CV = head.logits(hidden_CH)
            with torch.no_grad():
                wanted_CV = log_softmax(head.logits(wanted_NH[rows]), dim=1)
            found_CV = log_softmax(logits_CV, dim=1)
            each_C = kl_div(found_CV, wanted_CV, reduction="none", log_target=True).sum(dim=1)
            divergence = (each_C * is_target_N[rows]).sum()
            lm_loss = _cross_entropy(logits_CV, next_N[rows])
            return torch.stack([(1 - share) * lm_loss + share * divergence, lm_loss, divergence])

        found: Tensor = _Chunked.apply(hidden_NH, is_target_N.sum(), head, of_chunk)
        return found

    return in_chunks


def _hidden(head: Head, ids_BT: Tensor) -> Tensor:
    hidden_BTH: Tensor = head.trunk(input_ids=ids_BT, use_cache=False).last_hidden_state
    return hidden_BTH.flatten(0, 1)


def _next(ids_BT: Tensor) -> Tensor:
    """Token after each position, all sequences in a row."""
    return torch.nn.functional.pad(ids_BT[:, 1:], (0, 1), value=_NO_TARGET).flatten()


def _cross_entropy(logits_CV: Tensor, next_C: Tensor) -> Tensor:
    return cross_entropy(logits_CV, next_C, ignore_index=_NO_TARGET, reduction="sum")


def _rows(head: Head, positions: int) -> list[slice]:
    return [slice(first, first + head.chunk) for first in range(0, positions, head.chunk)]


def _recomputed(hidden_NH: Tensor, head: Head, of_chunk: OfChunk) -> Tensor:
    """Sum over all positions, whose logits are computed again for the backward pass."""
    parts = [
        checkpoint(of_chunk, hidden_NH[rows], rows, use_reentrant=False)
        for rows in _rows(head, len(hidden_NH))
    ]
    return torch.stack([part_K[0] for part_K in parts]).sum()


class _Chunked(torch.autograd.Function):
    """Values and gradient computed together, so that no logits are kept for the backward pass."""

    @staticmethod
    def forward(
        ctx: Any, hidden_NH: Tensor, targets: Tensor, head: Head, of_chunk: OfChunk
    ) -> Tensor:
        grad_NH = torch.empty_like(hidden_NH)
        totals = []
        for rows in _rows(head, len(hidden_NH)):
            # Exact for the logits. Their gradient is float32: with a bfloat16 head it is rounded
            # before its product with the weights, as in a backward pass in bfloat16, but the sums
            # are in float32.
            with torch.enable_grad(), exact_products(head.linear.weight.dtype):
                leaf_CH = hidden_NH[rows].detach().requires_grad_()
                sums_K = of_chunk(leaf_CH, rows)
                (found_CH,) = torch.autograd.grad(sums_K[0] / targets, leaf_CH)
            grad_NH[rows] = found_CH
            totals.append(sums_K.detach())
        ctx.save_for_backward(grad_NH)
        return torch.stack(totals).sum(dim=0) / targets

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        (grad_NH,) = ctx.saved_tensors
        return grad_NH * grads[0][0].to(grad_NH.dtype), None, None, None
