"""The losses in chunks against the model's own, value and gradient."""

from contextlib import contextmanager

import pytest
import torch
import transformers

from leap.model import head
from leap.model.loss import distillation_loss_of, lm_loss_of

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


def weight_of(model):
    """The last layer's output projection, whose gradient goes through the loss and one norm."""
    return model.base_model.layers[0].mlp.down_proj.weight


def value_and_gradients(compute, ids_BT, weights):
    """Of the loss, the first of the values, with respect to these weights."""
    for weight in weights:
        weight.requires_grad_().grad = None
    value = compute(ids_BT)
    (value.flatten()[0] / 3).backward()
    return [value.detach(), *(weight.grad for weight in weights)]


def ids_of():
    return torch.randint(0, 50, (2, 12), generator=torch.Generator().manual_seed(1))


# of one position, of some in the middle of a sequence, of one sequence, of all there is
CHUNKS = pytest.mark.parametrize("floats", [1, 50 * 7, 50 * 12, 50 * 24, 2**26])


@CHUNKS
@pytest.mark.parametrize("name", CONFIGS)
@pytest.mark.parametrize("head_trained", [False, True], ids=["frozen head", "trained head"])
def test_any_chunks_give_the_models_own_loss_and_gradient(name, floats, head_trained, monkeypatch):
    monkeypatch.setattr(head, "_FLOATS_IN_A_CHUNK", floats)
    model = model_of(CONFIGS[name])
    weights = [weight_of(model), *([model.lm_head.weight] if head_trained else [])]
    expected = value_and_gradients(
        lambda ids: model(input_ids=ids, labels=ids, use_cache=False).loss, ids_of(), weights
    )
    found = value_and_gradients(lm_loss_of(model), ids_of(), weights)
    for ours, theirs in zip(found, expected, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-7)
    assert all(gradient.abs().max() > 1e-4 for gradient in found[1:])


@CHUNKS
@pytest.mark.parametrize("name", ["llama", "soft-capped"])
@pytest.mark.parametrize("share", [0.3, 1.0])
def test_any_chunks_give_the_distillation_loss_and_its_gradient(name, floats, share, monkeypatch):
    monkeypatch.setattr(head, "_FLOATS_IN_A_CHUNK", floats)
    model, teacher, ids_BT = model_of(CONFIGS[name]), model_of(CONFIGS[name]), ids_of()
    weight = weight_of(model)
    weight[:, ::2] = 0
    entered = []

    @contextmanager
    def dense():
        entered.append(weight.data)
        weight.data = weight_of(teacher).data
        with torch.no_grad():
            yield
        weight.data = entered[-1]

    def plainly(ids_BT):
        ours, theirs = (
            m(input_ids=ids_BT).logits[:, :-1].double().flatten(0, 1) for m in (model, teacher)
        )
        lm_loss = torch.nn.functional.cross_entropy(ours, ids_BT[:, 1:].flatten())
        p, q = theirs.softmax(1), ours.softmax(1)
        divergence = (p * (p.log() - q.log())).sum() / len(p)
        loss = (1 - share) * lm_loss + share * divergence
        return torch.stack([loss, lm_loss, divergence]).float()

    expected = value_and_gradients(plainly, ids_BT, [weight])
    found = value_and_gradients(distillation_loss_of(model, share, dense), ids_BT, [weight])
    for ours, theirs in zip(found, expected, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-6)
    assert len(entered) == 1 and found[0][2] > 0.01 and found[1].abs().max() > 1e-4


def test_a_model_with_logits_of_its_own_cannot_be_distilled():
    model = model_of(CONFIGS["scaled by the model itself"])
    message = "distil: GraniteForCausalLM makes its logits in a way of its own, so only distil: 0"
    with pytest.raises(ValueError, match=message):
        distillation_loss_of(model, 0.5, contextmanager(lambda: iter([None])))


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
