"""Perplexity against the definition, token by token, and of a dense model on validation text."""

import math

import numpy as np
import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from leap_suite.artifacts.files import read_json
from leap_suite.plan.cell import Cell
from leap_suite.stages import corpora, models
from leap_suite.stages.perplexity import perplexity
from leap_suite.stages.validate import validate
from tests.unit.recipes import MODEL, recipes


@pytest.fixture
def model():
    torch.manual_seed(0)
    return LlamaForCausalLM(
        LlamaConfig(hidden_size=16, intermediate_size=24, num_hidden_layers=1, vocab_size=40,
                    num_attention_heads=2, num_key_value_heads=1)
    ).eval()  # fmt: skip


def test_it_is_exp_of_the_mean_surprise(model):
    windows = np.random.default_rng(0).integers(0, 40, (5, 9)).astype(np.int32)
    surprises = []
    with torch.no_grad():
        for window in torch.from_numpy(windows).long():
            for end in range(1, 9):
                logits = model(input_ids=window[None, :end]).logits[0, -1].double()
                surprises.append(-(logits.log_softmax(0)[window[end]]).item())
    result = perplexity(model, windows, batch_tokens=18)
    assert result["value"] == pytest.approx(math.exp(np.mean(surprises)), rel=1e-5)
    assert result["tokens"] == len(surprises)
    by_window = np.array(surprises).reshape(5, 8).mean(1)
    expected = result["value"] * by_window.std(ddof=1) / math.sqrt(5)
    assert result["stderr"] == pytest.approx(expected, rel=1e-4)


def test_a_broken_model_is_refused(model):
    model.lm_head.weight.data[0, 0] = float("nan")
    with pytest.raises(ValueError, match="not finite"):
        perplexity(model, np.zeros((1, 4), dtype=np.int32), 1)


def test_the_dense_model_is_validated_as_it_is(place, tmp_path):
    cell, output = Cell.dense(MODEL), tmp_path / "dense.json"
    text = {"text": {"miniature": "held_out"}, "length": 64, "sequences": 8}  # that of `place`
    recipe = recipes(corpora={"validation": text}).validation(cell)
    assert recipe["checkpoint"] == {}
    checkpoint = models.intact_checkpoint(place / "model")
    corpus = place / "perplexity.safetensors"
    validate(place / "model", checkpoint, corpus, cell, recipe, output)
    written = read_json(output)
    assert (written["method"], written["sparsity"]) == ("dense", "0.0")
    dense = models.load_model(checkpoint, "float32", "cpu")
    expected = perplexity(dense, corpora.read(corpus)[0], recipe["batch_tokens"])
    assert written["perplexity"] == pytest.approx(expected, rel=1e-5)
