"""ELSA's training: what it leaves behind, and taking it up again. Its mathematics: tests/oracle."""

import dataclasses

import pytest
import torch
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st
from safetensors.torch import load_file

from leap.budget import layer_survivors
from leap.execution import Execution
from leap.methods import elsa
from leap.methods.elsa import learn_weights
from leap.model.layers import prunable_linears
from tests.unit.leap import tiny
from tests.unit.leap.tiny import equal_bits, llama, tokens

TRAINING = tiny.settings_of("elsa")


def changed(**settings):
    return dataclasses.replace(TRAINING, **settings)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("family", tiny.FAMILIES)
def test_only_prunable_weights_change_and_each_layer_keeps_its_count(family, dtype):
    model, dense = tiny.family(family, dtype=dtype), tiny.family(family, dtype=dtype)
    found = learn_weights(model, tokens(), TRAINING)
    sizes = {n: linear.weight.numel() for n, linear in prunable_linears(dense).items()}
    assert list(found.weights) == list(found.masks) == list(sizes)
    kept = {name: int(mask.sum()) for name, mask in found.masks.items()}
    assert kept == layer_survivors(sizes, 0.6)
    for name, parameter in dense.named_parameters():
        trained = model.get_parameter(name)
        layer = name.removesuffix(".weight")
        if layer not in sizes or name.endswith("bias"):
            assert torch.equal(trained, parameter), name
            continue
        weight = found.weights[layer]
        assert torch.equal(trained, weight) and weight.dtype == dtype
        assert not weight[~found.masks[layer]].any()
        assert not torch.equal(weight[found.masks[layer]], parameter[found.masks[layer]])


@examples(deadline=None, max_examples=10)  # a busy machine is no failure
@given(st.floats(0.02, 0.98), st.sampled_from(["magnitude", "moment"]))
def test_any_sparsity_is_met_exactly(sparsity, projection):
    settings = changed(sparsity=sparsity, steps=2, interval=1, projection=projection)
    found = learn_weights(llama(), tokens(), settings)
    sizes = {name: mask.numel() for name, mask in found.masks.items()}
    kept = {name: int(mask.sum()) for name, mask in found.masks.items()}
    assert kept == layer_survivors(sizes, sparsity)


@pytest.mark.parametrize("training", [False, True], ids=["eval", "train"])
def test_the_model_is_the_same_but_for_its_weights(training):
    model = llama().train(training)
    model.model.norm.weight.requires_grad_(False)
    modules = {name: type(module) for name, module in model.named_modules()}
    needs = {name: p.requires_grad for name, p in model.named_parameters()}
    learn_weights(model, tokens(), TRAINING, execution=Execution(checkpointing=True))
    assert {name: type(module) for name, module in model.named_modules()} == modules
    assert {name: p.requires_grad for name, p in model.named_parameters()} == needs
    assert all(module.training is training for module in model.modules())
    assert all(p.grad is None for p in model.parameters())


def test_checkpointing_does_not_change_a_bit():
    plain = learn_weights(llama(), tokens(), TRAINING)
    lean = learn_weights(llama(), tokens(), TRAINING, execution=Execution(checkpointing=True))
    assert equal_bits(plain.weights, lean.weights) and equal_bits(plain.masks, lean.masks)


def test_the_weights_come_nearer_to_their_sparse_copy():
    lines = []
    settings = changed(steps=120, interval=10, penalty=0.5)
    learn_weights(llama(), tokens()[:4], settings, report=lambda _, v: lines.append(v))
    assert lines[-1]["primal_residual"] < 0.6 * lines[0]["primal_residual"]


def test_bfloat16_weights_are_trained_in_float32(tmp_path, every_step):
    """Steps that bfloat16 weights cannot resolve add up."""
    model = llama().bfloat16()
    learn_weights(model, tokens(), changed(learning_rate=1e-4), state=tmp_path, save_seconds=0)
    saved = load_file(max(tmp_path.iterdir()))
    name = "model.layers.0.mlp.up_proj"
    for kind in ("weights", "exp_avg", "exp_avg_sq", "z", "u"):
        assert saved[f"{kind}/{name}"].dtype == torch.float32
    moved = saved[f"weights/{name}"] - prunable_linears(llama().bfloat16())[name].weight
    assert 0 < moved.abs().max() < 12e-4


def test_the_score_by_moment_is_the_loss_that_a_weight_costs():
    value, moment = torch.tensor([[3.0, -1.0, 2.0]]), torch.tensor([[1.0, 16.0, 0.0]])
    score = elsa._score(value, moment)
    assert score.tolist() == [[3.0, 4.0, 0.0]]
    assert score.argsort().tolist() == (moment * value.square()).argsort().tolist()
    assert elsa._score(value, None).tolist() == [[3.0, 1.0, 2.0]]
    assert value.tolist() == [[3.0, -1.0, 2.0]]


@pytest.mark.parametrize(
    ("name", "value", "wanted"),
    [
        ("sparsity", 1.0, "between 0 and 1"),
        ("steps", 0, "at least 1"),
        ("batch", 0, "at least 1"),
        ("learning_rate", 0.0, "positive"),
        ("warmup_steps", -1, "at least 0"),
        ("weight_decay", -0.1, "at least 0"),
        ("max_grad_norm", -1.0, "at least 0"),
        ("penalty", -0.01, "at least 0"),
        ("interval", 0, "at least 1"),
        ("projection", "moments", "one of magnitude, moment"),
    ],
)
def test_settings_that_cannot_be_are_refused_by_name(name, value, wanted):
    with pytest.raises(ValueError, match=rf"{name} is {value!r}, but must be {wanted}"):
        changed(**{name: value})


def test_micro_batches_that_do_not_come_out_even_are_refused():
    with pytest.raises(ValueError, match="micro_batch is 3, which does not divide the 4 sequences"):
        learn_weights(llama(), tokens(), TRAINING, execution=Execution(micro_batch=3))


def test_tokens_that_are_of_no_use_are_refused():
    with pytest.raises(ValueError, match="the model's context is 16"):
        learn_weights(llama(), tokens(length=17), TRAINING)


def test_a_training_that_diverges_is_refused_with_what_to_do():
    with pytest.raises(ValueError, match=r"not finite.*lower learning_rate"):
        learn_weights(llama(), tokens(), changed(learning_rate=1e30))
