"""The fields of `suite.plan.cost.shapes.Sizes` of any causal LM, counted on it without its weights.

Plain numbers, since jobs know nothing of plans.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import nn
    from transformers import PreTrainedModel


def shape_of(checkpoint: str | Path) -> dict[str, Any]:
    """Of the model whose config.json lies in this folder; its weights are not read."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    config = AutoConfig.from_pretrained(
        str(checkpoint), local_files_only=True, trust_remote_code=False
    )
    with torch.device("meta"):
        return numbers_of(AutoModelForCausalLM.from_config(config, trust_remote_code=False))


def numbers_of(model: "PreTrainedModel") -> dict[str, Any]:
    """Of this model: what `Sizes` is made from.

    Weights are counted. What only activations depend on comes from the config; where that does not
    say it, the width of the MLP is four times the hidden one, and all heads have keys of their own.
    Raises ValueError for a model without prunable layers.
    """
    from leap.model.layers import decoder_blocks, linear_weights, prunable_linears

    config = model.config.get_text_config()
    weights = [linear.weight.numel() for linear in prunable_linears(model).values()]
    blocks = list(decoder_blocks(model)[1])
    everything = sum(parameter.numel() for parameter in model.parameters())
    hidden, heads = config.hidden_size, config.num_attention_heads
    head_dim = getattr(config, "head_dim", None) or hidden // heads
    vectors = _vectors(blocks[0])
    windowed = (getattr(config, "layer_types", None) or []).count("sliding_attention")
    return {
        "prunable": sum(weights),
        "other": everything - sum(weights),
        "block": max(linear_weights(block) for block in blocks),
        "largest": max(weights),
        "layers": len(blocks),
        "hidden": hidden,
        "intermediate": getattr(config, "intermediate_size", None) or 4 * hidden,
        "heads": heads,
        "kv_heads": getattr(config, "num_key_value_heads", None) or heads,
        "head_dim": head_dim,
        "vocabulary": model.get_output_embeddings().weight.shape[0],
        "block_norms": vectors.count(hidden),
        "head_norms": head_dim in vectors,
        "window": config.sliding_window if windowed else 0,
        "windowed": windowed,
    }


def _vectors(block: "nn.Module") -> list[int]:
    """The lengths of the weights of a block's norms."""
    named = block.named_parameters()
    return [len(weight) for name, weight in named if name.endswith("weight") and weight.dim() == 1]
