"""The five miniature architectures, one per model of the paper, with its transformers class.

Sizes increase in the order of the paper's models, and are all too small for their world to leave
weights unused. Heads are tied to the embedding where those of the originals are.
"""

from typing import Any

from transformers import Gemma3TextConfig, LlamaConfig, PreTrainedConfig, Qwen2Config

# Whether sequences start with <bos>, in training, calibration, perplexity and tasks alike.
USES_BOS = {
    "mini-qwen-2.5-0.5b": False,
    "mini-gemma-3-1b": True,
    "mini-llama-3.2-1b": True,
    "mini-llama-3.2-3b": True,
    "mini-llama-3.1-8b": True,
}
NAMES = tuple(USES_BOS)

_COMMON = {
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 512,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
_GEMMA = {
    "head_dim": 12,
    "query_pre_attn_scalar": 12,
    "sliding_window": 16,
    "layer_types": ["sliding_attention", "full_attention"] * 2,
}


def architecture(name: str, vocabulary: int) -> PreTrainedConfig:
    """Configuration of miniature `name` for `vocabulary` tokens; KeyError for an unknown name."""
    kind, hidden, intermediate, tied, own = _SIZES[name]
    sizes = {"hidden_size": hidden, "intermediate_size": intermediate, "vocab_size": vocabulary}
    return kind(**{**_COMMON, **sizes, "tie_word_embeddings": tied, **own})


_SIZES: dict[str, tuple[type[PreTrainedConfig], int, int, bool, dict[str, Any]]] = {
    "mini-qwen-2.5-0.5b": (
        Qwen2Config, 48, 80, True, {"use_sliding_window": False, "bos_token_id": None},
    ),
    "mini-gemma-3-1b": (Gemma3TextConfig, 48, 96, True, _GEMMA),
    "mini-llama-3.2-1b": (LlamaConfig, 48, 96, True, {}),
    "mini-llama-3.2-3b": (LlamaConfig, 48, 128, True, {}),
    "mini-llama-3.1-8b": (LlamaConfig, 56, 128, False, {}),
}  # fmt: skip
