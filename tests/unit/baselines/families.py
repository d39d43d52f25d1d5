"""Small models of several families, and the inputs of their layers."""

import torch
from transformers import (
    Gemma3ForCausalLM,
    Gemma3TextConfig,
    LlamaConfig,
    LlamaForCausalLM,
    OPTConfig,
    OPTForCausalLM,
    Phi3Config,
    Phi3ForCausalLM,
    Qwen2Config,
    Qwen2ForCausalLM,
)

SIZE = {"hidden_size": 24, "intermediate_size": 40, "num_hidden_layers": 3, "vocab_size": 60,
        "num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 64,
        "pad_token_id": 0}  # fmt: skip

FAMILIES = {
    "llama": lambda: LlamaForCausalLM(LlamaConfig(**SIZE)),
    "qwen2": lambda: Qwen2ForCausalLM(Qwen2Config(**SIZE)),
    # full and sliding layers, which get different masks and rotary embeddings
    "gemma3": lambda: Gemma3ForCausalLM(
        Gemma3TextConfig(**SIZE, head_dim=8, sliding_window=5, sliding_window_pattern=2)
    ),
    "phi3": lambda: Phi3ForCausalLM(Phi3Config(**SIZE)),  # q, k and v in one layer
    "opt": lambda: OPTForCausalLM(
        OPTConfig(hidden_size=24, ffn_dim=40, num_hidden_layers=3, vocab_size=60,
                  num_attention_heads=4, word_embed_proj_dim=24, max_position_embeddings=64)
    ),
}  # fmt: skip


def inputs_of(model, linears, batches):
    """All inputs [T, I] of these layers, by name, in runs of the whole model."""
    inputs = {name: [] for name in linears}

    def keep(name):
        return lambda _, args: inputs[name].append(args[0].reshape(-1, args[0].shape[-1]))

    hooks = [linear.register_forward_pre_hook(keep(name)) for name, linear in linears.items()]
    with torch.no_grad():
        for batch in batches:
            model(input_ids=batch)
    for hook in hooks:
        hook.remove()
    return {name: torch.cat(parts) for name, parts in inputs.items()}
