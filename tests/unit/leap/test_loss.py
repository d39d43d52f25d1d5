"""The loss in chunks against the model's own, value and gradient."""

import pytest
import torch
import transformers

from leap.model import head
from leap.model.loss import lm_loss_of

SIZES = {
    "vocab_size": 50, "hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 1,
    "num_attention_heads": 2, "num_key_value_heads": 1, "max_position_embeddings": 32,
    "pad_token_id": 0,
}  # fmt: skip
CONFIGS = {
    "llama": transformers.LlamaConfig(**SIZES),
    "soft-capped": transformers.Gemma2Config(**SIZES, head_dim=8, final_logit_softcapping=2.0),
    "scaled by the model itself": transformers.GraniteConfig(**SIZES, logits_scaling=4.0),
}


def model_of(config, dtype=torch.float32):
    torch.manual_seed(0)
    model = transformers.AutoModelForCausalLM.from_config(config).to(dtype).eval()
    for parameter in model.parameters():
        parameter.requires_grad_(False)
        if parameter.dim() > 1:
            parameter.mul_(20)
    return model


def value_and_gradient(model, compute, ids_BT):
    """Of the loss, and with respect to the first layer's output projection."""
    weight = model.base_model.layers[0].mlp.down_proj.weight.requires_grad_()
    weight.grad = None
    value = compute(ids_BT)
    (value / 3).backward()
    return value.detach(), weight.grad


@pytest.mark.parametrize("floats", [1, 50 * 7, 50 * 24, 2**26])
@pytest.mark.parametrize("name", CONFIGS)
def test_any_chunks_give_the_models_own_loss_and_gradient(name, floats, monkeypatch):
    monkeypatch.setattr(head, "_FLOATS_IN_A_CHUNK", floats)
    model = model_of(CONFIGS[name])
    ids_BT = torch.randint(0, 50, (2, 12), generator=torch.Generator().manual_seed(1))
    expected = value_and_gradient(
        model, lambda ids: model(input_ids=ids, labels=ids, use_cache=False).loss, ids_BT
    )
    found = value_and_gradient(model, lm_loss_of(model), ids_BT)
    for ours, theirs in zip(found, expected, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-7)
    assert found[1].abs().max() > 1e-4


def test_with_bfloat16_weights_logits_are_not_rounded():
    """The loss of the same weights in float64 is met better than with logits in bfloat16."""
    model = model_of(CONFIGS["llama"], torch.bfloat16)
    ids_BT = torch.randint(0, 50, (4, 30), generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        hidden_NH = model.base_model(input_ids=ids_BT).last_hidden_state[:, :-1].flatten(0, 1)
        exact_NV = hidden_NH.double() @ model.lm_head.weight.double().T
        exact = torch.nn.functional.cross_entropy(exact_NV, ids_BT[:, 1:].flatten())
        found = lm_loss_of(model)(ids_BT)
    assert found.dtype == torch.float32
    assert float(found) == pytest.approx(float(exact), rel=1e-5)
    assert float(model(input_ids=ids_BT, labels=ids_BT).loss) != pytest.approx(
        float(exact), rel=1e-5
    )
