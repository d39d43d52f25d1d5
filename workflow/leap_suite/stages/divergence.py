"""Divergence of a pruned model from its dense one. Axes: S sequences, T tokens, C positions of a
chunk, V vocabulary."""

import math
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from leap_suite.jobs.job import progress
from leap_suite.stages.corpora import Tokens

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedModel

_FLOATS_IN_A_CHUNK = 2**26  # of logits, with a head of the model's own


def divergence(
    model: "PreTrainedModel", dense: "PreTrainedModel", windows_ST: Tokens, batch_tokens: int
) -> dict[str, float]:
    """KL(dense || model) of the next token in nats, over the full vocabulary, the mean over tokens.

    Positions are those of the perplexity: all but each window's last. Both models are on one
    device. Logarithms are in float32, a chunk of positions at a time, sums in float64; the standard
    error is that of the mean over windows. Raises ValueError where it is not finite.
    """
    import torch
    from torch.nn.functional import kl_div

    windows, length = windows_ST.shape
    chunks = torch.from_numpy(windows_ST).long().split(max(1, batch_tokens // length))
    found: list[float] = []
    with torch.inference_mode():
        ours, theirs = _log_probabilities_of(model), _log_probabilities_of(dense)
        for chunk_ST in progress(chunks, "divergence"):
            ids_ST = chunk_ST.to(model.device)
            each = [
                kl_div(ours_CV, theirs_CV, reduction="none", log_target=True).sum(1)
                for ours_CV, theirs_CV in zip(ours(ids_ST), theirs(ids_ST), strict=True)
            ]
            found += torch.cat(each).view(len(ids_ST), -1).double().mean(dim=1).tolist()
    mean = sum(found) / len(found)
    if not math.isfinite(mean):
        raise ValueError("the divergence is not finite: a model's logits hold NaN or infinity")
    variance = sum((value - mean) ** 2 for value in found) / max(1, windows - 1)
    return {"value": mean, "stderr": math.sqrt(variance / windows)}


def _log_probabilities_of(model: "PreTrainedModel") -> Callable[["Tensor"], Iterator["Tensor"]]:
    """Function of token ids [S, T] that yields log-probabilities [C, V], all sequences in a row."""
    from leap.model.head import Head

    def plain(ids_ST: "Tensor") -> Iterator["Tensor"]:
        logits_NV = model(input_ids=ids_ST, use_cache=False).logits[:, :-1].flatten(0, 1)
        for logits_CV in logits_NV.split(max(1, _FLOATS_IN_A_CHUNK // logits_NV.shape[1])):
            yield logits_CV.float().log_softmax(1)

    def by_head(ids_ST: "Tensor") -> Iterator["Tensor"]:
        hidden_STH = head.trunk(input_ids=ids_ST, use_cache=False).last_hidden_state[:, :-1]
        for hidden_CH in hidden_STH.flatten(0, 1).split(head.chunk):
            yield head.logits(hidden_CH).log_softmax(1)

    try:
        head = Head(model)
    except ValueError:  # an unsupported head
        return plain
    return by_head
