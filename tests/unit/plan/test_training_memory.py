"""The memory formula: against real architectures, and against bytes counted on a small model."""

import pytest
import torch
from transformers import (
    Gemma3ForCausalLM,
    Gemma3TextConfig,
    LlamaConfig,
    LlamaForCausalLM,
    Qwen2Config,
    Qwen2ForCausalLM,
)

from leap.layers import decoder_blocks, prunable_linears
from leap.settings import Settings
from leap.training import learn_masks
from suite.plan.cost.shapes import MODELS
from suite.plan.cost.training_memory import training_memory
from tests.live_bytes import LiveBytes

CLASSES = {"qwen": (Qwen2Config, Qwen2ForCausalLM), "gemma": (Gemma3TextConfig, Gemma3ForCausalLM),
           "llama": (LlamaConfig, LlamaForCausalLM)}  # fmt: skip
# wide and shallow enough that activations of four tokens hardly count
SMALL = {"hidden_size": 256, "intermediate_size": 512, "num_hidden_layers": 6, "vocab_size": 64,
         "num_attention_heads": 4, "num_key_value_heads": 2}  # fmt: skip
CHUNK_ON_CPU = 2**17


@pytest.mark.parametrize("name", MODELS)
def test_counts_are_those_of_the_real_class(name):
    shape = MODELS[name]
    config, build = CLASSES[name.split("-")[0]]
    with torch.device("meta"):
        model = build(
            config(
                hidden_size=shape.hidden,
                num_hidden_layers=shape.layers,
                intermediate_size=shape.intermediate,
                num_attention_heads=shape.heads,
                num_key_value_heads=shape.kv_heads,
                head_dim=shape.head_dim,
                vocab_size=shape.vocabulary,
                tie_word_embeddings=shape.tied,
            )
        )
    sizes = [linear.weight.numel() for linear in prunable_linears(model).values()]
    everything = sum(parameter.numel() for parameter in model.parameters())
    assert shape.prunable == sum(sizes)
    assert shape.other == everything - sum(sizes)
    assert shape.largest == max(sizes)
    assert len(decoder_blocks(model)[1]) * shape.block == shape.prunable


@pytest.mark.parametrize(
    "switches",
    [
        {},
        {"recompute": True},
        {"checkpointing": True},
        {"recompute": True, "checkpointing": True},
    ],
    ids=lambda switches: "+".join(switches) or "default",
)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_formula_gives_the_bytes_alive_at_the_peak(switches, dtype):
    torch.manual_seed(0)
    model = LlamaForCausalLM(LlamaConfig(**SMALL)).to(dtype)
    settings = Settings(0.5, steps=2, batch=2, **switches)
    with LiveBytes(model.parameters()) as live:
        learn_masks(model, torch.randint(64, (4, 4)), settings)
    sizes = [linear.weight.numel() for linear in prunable_linears(model).values()]
    weights = sum(parameter.numel() for parameter in model.parameters())
    expected = training_memory(
        sum(sizes), weights - sum(sizes), sum(sizes) // SMALL["num_hidden_layers"], max(sizes),
        weight_bytes=dtype.itemsize, chunk=CHUNK_ON_CPU, **switches,
    )  # fmt: skip
    assert live.peak == pytest.approx(expected.total, rel=0.03)
