"""Perplexity over fixed windows of token ids. Axes: S sequences, T tokens, V vocabulary."""

import math
from typing import TYPE_CHECKING, Any

from suite.jobs.job import progress
from suite.stages.corpora import Tokens

if TYPE_CHECKING:
    from transformers import PreTrainedModel


def perplexity(model: "PreTrainedModel", windows_ST: Tokens, batch: int) -> dict[str, Any]:
    """exp of the mean negative log-likelihood of every token but each window's first.

    The standard error is the one of the mean over windows, carried through exp (delta method):
    windows, not tokens, are taken as independent. Log-likelihoods are computed in float32 and
    summed in float64. Raises ValueError where the model's output is not finite.
    """
    import torch

    losses: list[float] = []
    with torch.inference_mode():
        for chunk in progress(torch.from_numpy(windows_ST).long().split(batch), "perplexity"):
            ids_ST = chunk.to(model.device)
            logits_STV = model(input_ids=ids_ST, use_cache=False).logits[:, :-1].float()
            loss_ST = torch.nn.functional.cross_entropy(
                logits_STV.transpose(1, 2), ids_ST[:, 1:], reduction="none"
            )
            losses += loss_ST.double().mean(dim=1).tolist()
    mean = sum(losses) / len(losses)
    if not math.isfinite(mean):
        raise ValueError("the perplexity is not finite: the model's logits hold NaN or infinity")
    variance = sum((loss - mean) ** 2 for loss in losses) / max(1, len(losses) - 1)
    value = math.exp(mean)
    windows, length = windows_ST.shape
    return {
        "value": value,
        "stderr": value * math.sqrt(variance / len(losses)),
        "windows": windows,
        "length": length,
        "tokens": windows * (length - 1),
    }
