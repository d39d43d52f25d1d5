"""Perplexity over fixed windows of token ids, and divergence of a model from its dense one.

Axes: S sequences, T tokens, N positions of all sequences, C positions of a chunk, V vocabulary,
K quantities.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from leap_suite.jobs.job import progress
from leap_suite.stages.corpora import Tokens

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedModel

_FLOATS_IN_A_CHUNK = 2**26  # of logits, with a head of the model's own


def perplexity(model: "PreTrainedModel", windows_ST: Tokens, batch_tokens: int) -> dict[str, Any]:
    """exp of the mean negative log-likelihood of every token but each window's first.

    A forward pass takes windows of `batch_tokens` tokens together, at least one window. The
    standard error is that of the mean over windows, propagated through exp (delta method): windows,
    not tokens, count as independent. Log-likelihoods are computed in float32 and summed in float64.
    Raises ValueError where the model's output is not finite.
    """
    (losses,) = _window_means((model,), windows_ST, batch_tokens)
    return _perplexity(losses, windows_ST)


def perplexity_and_divergence(
    model: "PreTrainedModel", dense: "PreTrainedModel", windows_ST: Tokens, batch_tokens: int
) -> tuple[dict[str, Any], dict[str, float]]:
    """`perplexity`, and KL(dense || model) of the same tokens, from one pass of each model.

    The divergence is in nats over the full vocabulary, the mean over tokens; its standard error is
    that of the mean over windows. Both models are on one device.
    """
    losses, divergences = _window_means((model, dense), windows_ST, batch_tokens)
    value, error = _mean_and_error(divergences)
    return _perplexity(losses, windows_ST), {"value": value, "stderr": error}


def _perplexity(losses: Sequence[float], windows_ST: Tokens) -> dict[str, Any]:
    windows, length = windows_ST.shape
    mean, error = _mean_and_error(losses)
    value = math.exp(mean)
    return {
        "value": value,
        "stderr": value * error,
        "windows": windows,
        "length": length,
        "tokens": windows * (length - 1),
    }


def _mean_and_error(values: Sequence[float]) -> tuple[float, float]:
    mean = sum(values) / len(values)
    if not math.isfinite(mean):
        raise ValueError("the perplexity is not finite: a model's logits hold NaN or infinity")
    variance = sum((value - mean) ** 2 for value in values) / max(1, len(values) - 1)
    return mean, math.sqrt(variance / len(values))


def _window_means(
    models: Sequence["PreTrainedModel"], windows_ST: Tokens, batch_tokens: int
) -> list[list[float]]:
    """Means [K, S] over each window's tokens: of the first model's -log p and, given a second, of
    the divergence from it."""
    import torch

    chunks = torch.from_numpy(windows_ST).long().split(max(1, batch_tokens // windows_ST.shape[1]))
    means = []
    with torch.inference_mode():
        logits_of = [_logits_of(model) for model in models]
        for chunk_ST in progress(chunks, "perplexity"):
            ids_ST = chunk_ST.to(models[0].device)
            rest_N = ids_ST[:, 1:].flatten()
            values = []
            for logits_CV in zip(*(function(ids_ST) for function in logits_of), strict=True):
                next_C, rest_N = rest_N.tensor_split([len(logits_CV[0])])
                values.append(_values(next_C, *logits_CV))
            values_KST = torch.cat(values, dim=1).view(-1, *ids_ST[:, 1:].shape)
            means.append(values_KST.double().mean(dim=2))
    return torch.cat(means, dim=1).tolist()


def _values(next_C: "Tensor", ours_CV: "Tensor", theirs_CV: "Tensor | None" = None) -> "Tensor":
    """-log p of the next tokens and, given the dense model's logits, the divergence: [K, C]."""
    import torch
    from torch.nn.functional import kl_div

    from leap.model.head import score

    values = []
    if theirs_CV is not None:
        ours, theirs = ours_CV.log_softmax(1), theirs_CV.log_softmax(1)
        values = [kl_div(ours, theirs, reduction="none", log_target=True).sum(1)]
    score_C, _ = score(ours_CV, next_C)
    return torch.stack([-score_C, *values])


def _logits_of(model: "PreTrainedModel") -> Callable[["Tensor"], Iterator["Tensor"]]:
    """Function of token ids [S, T] that yields logits [C, V] in float32 of all tokens but each
    sequence's last, all sequences in a row."""
    from leap.model.head import Head

    def plain(ids_ST: "Tensor") -> Iterator["Tensor"]:
        logits_NV = model(input_ids=ids_ST, use_cache=False).logits[:, :-1].flatten(0, 1)
        for logits_CV in logits_NV.split(max(1, _FLOATS_IN_A_CHUNK // logits_NV.shape[1])):
            yield logits_CV.float()

    def by_head(ids_ST: "Tensor") -> Iterator["Tensor"]:
        hidden_STH = head.trunk(input_ids=ids_ST, use_cache=False).last_hidden_state[:, :-1]
        for hidden_CH in hidden_STH.flatten(0, 1).split(head.chunk):
            yield head.logits(hidden_CH)

    try:
        head = Head(model)
    except ValueError:  # an unsupported head
        return plain
    return by_head
