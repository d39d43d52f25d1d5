"""The five miniature architectures, one per model of the paper and of its transformers class.

Sizes grow in the order of the paper's models, yet all stay too small for their world to spare
weights. Qwen and Llama 1B/3B tie the head to the embedding as the originals do; 8B does not.
"""

from collections.abc import Callable

from transformers import Gemma3TextConfig, LlamaConfig, PreTrainedConfig, Qwen2Config

# Whether a sequence starts with <bos>, in training, calibration, perplexity and tasks alike.
USES_BOS = {
    "mini-qwen-2.5-0.5b": False,
    "mini-gemma-3-1b": True,
    "mini-llama-3.2-1b": True,
    "mini-llama-3.2-3b": True,
    "mini-llama-3.1-8b": True,
}
NAMES = tuple(USES_BOS)

_PAD_ID, _BOS_ID, _EOS_ID = 0, 1, 2
_POSITIONS = 512
_LAYERS = 4


def architecture(name: str, vocabulary: int) -> PreTrainedConfig:
    """The configuration of miniature `name` over `vocabulary` tokens; KeyError if unknown."""
    return _ARCHITECTURES[name](vocabulary)


def _qwen(vocabulary: int) -> PreTrainedConfig:
    return Qwen2Config(
        vocab_size=vocabulary,
        hidden_size=48,
        intermediate_size=80,
        num_hidden_layers=_LAYERS,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=_POSITIONS,
        tie_word_embeddings=True,
        use_sliding_window=False,
        pad_token_id=_PAD_ID,
        bos_token_id=None,
        eos_token_id=_EOS_ID,
    )


def _gemma(vocabulary: int) -> PreTrainedConfig:
    return Gemma3TextConfig(
        vocab_size=vocabulary,
        hidden_size=48,
        intermediate_size=96,
        num_hidden_layers=_LAYERS,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=12,
        query_pre_attn_scalar=12,
        sliding_window=16,
        layer_types=["sliding_attention", "full_attention"] * (_LAYERS // 2),
        max_position_embeddings=_POSITIONS,
        tie_word_embeddings=True,
        pad_token_id=_PAD_ID,
        bos_token_id=_BOS_ID,
        eos_token_id=_EOS_ID,
    )


def _llama(hidden: int, intermediate: int, heads: int, tied: bool) -> Callable[[int], LlamaConfig]:
    def configure(vocabulary: int) -> LlamaConfig:
        return LlamaConfig(
            vocab_size=vocabulary,
            hidden_size=hidden,
            intermediate_size=intermediate,
            num_hidden_layers=_LAYERS,
            num_attention_heads=heads,
            num_key_value_heads=heads // 2,
            max_position_embeddings=_POSITIONS,
            tie_word_embeddings=tied,
            pad_token_id=_PAD_ID,
            bos_token_id=_BOS_ID,
            eos_token_id=_EOS_ID,
        )

    return configure


_ARCHITECTURES: dict[str, Callable[[int], PreTrainedConfig]] = {
    "mini-qwen-2.5-0.5b": _qwen,
    "mini-gemma-3-1b": _gemma,
    "mini-llama-3.2-1b": _llama(hidden=48, intermediate=96, heads=4, tied=True),
    "mini-llama-3.2-3b": _llama(hidden=48, intermediate=128, heads=4, tied=True),
    "mini-llama-3.1-8b": _llama(hidden=56, intermediate=128, heads=4, tied=False),
}
