"""Divergence from the dense model against the definition in float64, token by token."""

import copy

import numpy as np
import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from leap_suite.stages import perplexity as module
from leap_suite.stages.perplexity import perplexity, perplexity_and_divergence


def model_of(seed, vocabulary=40):
    torch.manual_seed(seed)
    config = LlamaConfig(hidden_size=16, intermediate_size=24, num_hidden_layers=1,
                         vocab_size=vocabulary, num_attention_heads=2,
                         num_key_value_heads=1, initializer_range=0.5)  # fmt: skip
    return LlamaForCausalLM(config).eval()


def slow(ours, theirs, windows):
    """Divergences [S, T - 1]."""
    with torch.no_grad():
        p, q = (
            torch.stack([
                torch.stack([m(input_ids=w[None, :end]).logits[0, -1].double().log_softmax(0)
                             for end in range(1, len(w))])
                for w in torch.from_numpy(windows).long()
            ])
            for m in (theirs, ours)
        )  # fmt: skip
    return (p.exp() * (p - q)).sum(-1).numpy()


@pytest.mark.parametrize("plain", [False, True])
@pytest.mark.parametrize("batch_tokens", [1, 18, 1000])
def test_it_is_the_mean_over_tokens_and_windows(monkeypatch, plain, batch_tokens):
    ours, theirs = model_of(0), model_of(1)
    windows = np.random.default_rng(0).integers(0, 40, (5, 9)).astype(np.int32)
    each = slow(ours, theirs, windows)
    if plain:  # heads that are not known, and logits in chunks of three positions
        monkeypatch.setattr("leap.model.head.is_close", lambda *_: False)
        monkeypatch.setattr(module, "_FLOATS_IN_A_CHUNK", 3 * 40)
    else:
        monkeypatch.setattr("leap.model.head._FLOATS_IN_A_CHUNK", 3 * 40)
    quality, found = perplexity_and_divergence(ours, theirs, windows, batch_tokens)
    assert quality == perplexity(ours, windows, batch_tokens)
    assert each.min() > 0.01
    assert found["value"] == pytest.approx(each.mean(), rel=1e-4)
    error = each.mean(axis=1).std(ddof=1) / np.sqrt(5)
    assert found["stderr"] == pytest.approx(error, rel=1e-3)
    # from the dense model, not to it
    _, back = perplexity_and_divergence(theirs, ours, windows, 18)
    assert back["value"] != pytest.approx(each.mean(), rel=1e-2)


def test_a_model_does_not_diverge_from_itself_and_nan_is_refused():
    dense = model_of(0)
    windows = np.random.default_rng(0).integers(0, 40, (2, 6)).astype(np.int32)
    _, found = perplexity_and_divergence(copy.deepcopy(dense), dense, windows, 8)
    assert found["value"] == pytest.approx(0, abs=1e-6)
    broken = model_of(0)
    broken.lm_head.weight.data[0, 0] = float("nan")
    with pytest.raises(ValueError, match="not finite"):
        perplexity_and_divergence(dense, broken, windows, 8)
