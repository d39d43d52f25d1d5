"""Which layers are pruned."""

import pytest
import torch
from torch import nn
from transformers import GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM

from leap.model.layers import decoder_blocks, prunable_linears

TINY = {"hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2, "vocab_size": 40,
        "num_attention_heads": 2, "num_key_value_heads": 1}  # fmt: skip


def test_llama_gives_its_seven_linears_a_block_and_nothing_else():
    model = LlamaForCausalLM(LlamaConfig(**TINY))
    prefix, blocks = decoder_blocks(model)
    assert (prefix, len(blocks)) == ("model.layers", 2)
    kinds = [name.removeprefix("model.layers.") for name in prunable_linears(model)]
    attention = [f"self_attn.{kind}_proj" for kind in "qkvo"]
    mlp = [f"mlp.{kind}_proj" for kind in ("gate", "up", "down")]
    assert kinds == [f"{block}.{kind}" for block in (0, 1) for kind in attention + mlp]


def test_a_model_without_linear_layers_is_refused():
    config = GPT2Config(n_embd=16, n_layer=1, n_head=2, vocab_size=40)
    with pytest.raises(ValueError, match="GPT2LMHeadModel has no prunable layers"):
        prunable_linears(GPT2LMHeadModel(config))


def test_a_weight_shared_by_two_layers_is_refused():
    model = LlamaForCausalLM(LlamaConfig(**TINY))
    first, second = (block.mlp for block in model.model.layers)
    second.up_proj.weight = first.up_proj.weight
    with pytest.raises(
        ValueError, match=r"layers\.0\.mlp\.up_proj.* and .*layers\.1\.mlp\.up_proj"
    ):
        prunable_linears(model)


def test_a_linear_tied_to_the_embedding_is_refused():
    model = LlamaForCausalLM(LlamaConfig(**TINY))
    model.model.layers[0].mlp.down_proj.weight = nn.Parameter(torch.zeros(16, 24))
    model.lm_head.weight = model.model.layers[0].mlp.down_proj.weight
    with pytest.raises(ValueError, match="one and the same weight"):
        prunable_linears(model)
