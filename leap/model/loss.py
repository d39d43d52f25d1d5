"""Language-modelling loss, with the logits of a chunk of positions at a time.

Axes: B sequences, T tokens, N positions of all sequences, C of a chunk, H hidden features.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import Tensor, nn

from leap.model.head import Head
from leap.model.products import exact_products

if TYPE_CHECKING:
    from transformers import PreTrainedModel

_NO_TARGET = -100


def lm_loss_of(causal_lm: nn.Module) -> Callable[[Tensor], Tensor]:
    """Loss function of token ids [B, T]: mean cross-entropy of every token but the first.

    The head's weights are taken as frozen: the gradient is the hidden states' only. Where the
    model makes its logits in a way of its own, all of them are there at once, as it makes them.
    """
    model = cast("PreTrainedModel", causal_lm)
    try:
        head = Head(model)
    except ValueError:
        return lambda ids_BT: model(input_ids=ids_BT, labels=ids_BT, use_cache=False).loss

    def in_chunks(ids_BT: Tensor) -> Tensor:
        hidden_BTH = head.trunk(input_ids=ids_BT, use_cache=False).last_hidden_state
        next_BT = torch.nn.functional.pad(ids_BT[:, 1:], (0, 1), value=_NO_TARGET)
        loss: Tensor = _ChunkedLoss.apply(hidden_BTH.flatten(0, 1), next_BT.flatten(), head)
        return loss

    return in_chunks


class _ChunkedLoss(torch.autograd.Function):
    """Loss and gradient computed together, so that no logits are kept for the backward pass."""

    @staticmethod
    def forward(ctx: Any, hidden_NH: Tensor, next_N: Tensor, head: Head) -> Tensor:
        targets = (next_N != _NO_TARGET).sum()
        grad_NH = torch.empty_like(hidden_NH)
        total = torch.zeros((), device=hidden_NH.device)
        for grad_CH, hidden_CH, next_C in zip(
            *(tensor.split(head.chunk) for tensor in (grad_NH, hidden_NH, next_N)), strict=True
        ):
            # Exact for the logits. Their gradient is float32: with a bfloat16 head it is rounded
            # before its product with the weights, as in a backward pass in bfloat16, but the sums
            # are in float32.
            with torch.enable_grad(), exact_products(head.linear.weight.dtype):
                leaf_CH = hidden_CH.detach().requires_grad_()
                loss = torch.nn.functional.cross_entropy(
                    head.logits(leaf_CH), next_C, ignore_index=_NO_TARGET, reduction="sum"
                )
                (found_CH,) = torch.autograd.grad(loss / targets, leaf_CH)
            grad_CH.copy_(found_CH)
            total += loss.detach()
        ctx.save_for_backward(grad_NH)
        return total / targets

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        (grad_NH,) = ctx.saved_tensors
        return grad_NH * grads[0].to(grad_NH.dtype), None, None
