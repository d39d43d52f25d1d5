"""Perplexity over fixed windows of token ids. Axes: S sequences, T tokens, H hidden features."""

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from leap_suite.jobs.job import progress
from leap_suite.stages.corpora import Tokens

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedModel


def perplexity(model: "PreTrainedModel", windows_ST: Tokens, batch_tokens: int) -> dict[str, Any]:
    """exp of the mean negative log-likelihood of every token but each window's first.

    A forward pass takes windows of `batch_tokens` tokens together, at least one window. The
    standard error is that of the mean over windows, propagated through exp (delta method): windows,
    not tokens, count as independent. Log-likelihoods are computed in float32 and summed in float64.
    Raises ValueError where the model's output is not finite.
    """
    import torch

    windows, length = windows_ST.shape
    chunks = torch.from_numpy(windows_ST).long().split(max(1, batch_tokens // length))
    losses: list[float] = []
    with torch.inference_mode():
        surprise = _surprise_of(model)
        for chunk_ST in progress(chunks, "perplexity"):
            losses += surprise(chunk_ST.to(model.device)).double().mean(dim=1).tolist()
    mean = sum(losses) / len(losses)
    if not math.isfinite(mean):
        raise ValueError("the perplexity is not finite: the model's logits hold NaN or infinity")
    variance = sum((loss - mean) ** 2 for loss in losses) / max(1, len(losses) - 1)
    value = math.exp(mean)
    return {
        "value": value,
        "stderr": value * math.sqrt(variance / len(losses)),
        "windows": windows,
        "length": length,
        "tokens": windows * (length - 1),
    }


def _surprise_of(model: "PreTrainedModel") -> Callable[["Tensor"], "Tensor"]:
    """Function from token ids [S, T] to -log p [S, T - 1] of the tokens after the first."""
    import torch

    from leap.model.head import Head

    def plain(ids_ST: "Tensor") -> "Tensor":
        logits_STV = model(input_ids=ids_ST, use_cache=False).logits[:, :-1].float()
        return torch.nn.functional.cross_entropy(
            logits_STV.transpose(1, 2), ids_ST[:, 1:], reduction="none"
        )

    def by_head(ids_ST: "Tensor") -> "Tensor":
        hidden_STH = head.trunk(input_ids=ids_ST, use_cache=False).last_hidden_state[:, :-1]
        next_ST = ids_ST[:, 1:]
        score_N, _ = head.score(hidden_STH.flatten(0, 1), next_ST.flatten())
        return -score_N.view(next_ST.shape)

    try:
        head = Head(model)
    except ValueError:  # an unsupported head
        return plain
    return by_head
