"""The paper's models without their weights: configs of transformers from the numbers of `Shape`."""

from transformers import (
    AutoModelForCausalLM,
    Gemma3TextConfig,
    LlamaConfig,
    PreTrainedConfig,
    PreTrainedModel,
    Qwen2Config,
)

from leap_suite.plan.cost import MODELS

CONFIGS = {"qwen": Qwen2Config, "gemma": Gemma3TextConfig, "llama": LlamaConfig}


def config_of(name: str, **changes: int) -> PreTrainedConfig:
    """The config of one of the paper's models, by its name in the scales, with these changes."""
    shape, family = MODELS[name], name.split("-")[0]
    numbers = {
        "hidden_size": shape.hidden,
        "num_hidden_layers": shape.layers,
        "intermediate_size": shape.intermediate,
        "num_attention_heads": shape.heads,
        "num_key_value_heads": shape.kv_heads,
        "head_dim": shape.head_dim,
        "vocab_size": shape.vocabulary,
        "tie_word_embeddings": shape.tied,
        **({"sliding_window": 512} if family == "gemma" else {}),
    }
    return CONFIGS[family](**{**numbers, **changes})


def model_of(config: PreTrainedConfig) -> PreTrainedModel:
    """A model of this config with random weights, on the device and in the dtype of the context."""
    return AutoModelForCausalLM.from_config(config)
