"""ELSA's training: what it leaves behind, and taking it up again. Its mathematics: tests/oracle."""

import contextlib
import dataclasses
import os
import signal

import pytest
import torch
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st
from safetensors.torch import load_file
from transformers import (
    Gemma3ForCausalLM,
    Gemma3TextConfig,
    LlamaConfig,
    LlamaForCausalLM,
    OPTConfig,
    OPTForCausalLM,
)

from leap.budget import layer_survivors
from leap.execution import Execution
from leap.methods import elsa
from leap.methods.elsa import Settings, learn_weights
from leap.model.layers import prunable_linears

TRAINING = Settings(
    sparsity=0.6, steps=12, batch=4, learning_rate=1e-2, warmup_steps=3, penalty=0.05, interval=3,
    seed=5,
)  # fmt: skip
SIZE = {"hidden_size": 16, "num_hidden_layers": 2, "vocab_size": 40, "num_attention_heads": 4,
        "max_position_embeddings": 16}  # fmt: skip
FAMILIES = {
    "llama": lambda: LlamaForCausalLM(
        LlamaConfig(**SIZE, intermediate_size=25, num_key_value_heads=2)
    ),
    "gemma3": lambda: Gemma3ForCausalLM(
        Gemma3TextConfig(**SIZE, intermediate_size=24, num_key_value_heads=2, head_dim=8,
                         sliding_window=5, sliding_window_pattern=2, pad_token_id=0)
    ),
    "opt": lambda: OPTForCausalLM(OPTConfig(**SIZE, ffn_dim=24, word_embed_proj_dim=16)),  # biases
}  # fmt: skip


def model_of(family="llama", dtype=torch.float32):
    torch.manual_seed(0)
    return FAMILIES[family]().eval().to(dtype)


def tokens(length=12):
    return torch.randint(3, 40, (7, length), generator=torch.Generator().manual_seed(1))


def changed(**settings):
    return dataclasses.replace(TRAINING, **settings)


def equal_bits(one, other):
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("family", FAMILIES)
def test_only_prunable_weights_change_and_each_layer_keeps_its_count(family, dtype):
    model, dense = model_of(family, dtype), model_of(family, dtype)
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
@given(st.floats(0.02, 0.98), st.sampled_from(elsa.PROJECTIONS))
def test_any_sparsity_is_met_exactly(sparsity, projection):
    settings = changed(sparsity=sparsity, steps=2, interval=1, projection=projection)
    found = learn_weights(model_of(), tokens(), settings)
    sizes = {name: mask.numel() for name, mask in found.masks.items()}
    kept = {name: int(mask.sum()) for name, mask in found.masks.items()}
    assert kept == layer_survivors(sizes, sparsity)


@pytest.mark.parametrize("training", [False, True], ids=["eval", "train"])
def test_the_model_is_the_same_but_for_its_weights(training):
    model = model_of().train(training)
    model.model.norm.weight.requires_grad_(False)
    modules = {name: type(module) for name, module in model.named_modules()}
    needs = {name: p.requires_grad for name, p in model.named_parameters()}
    learn_weights(model, tokens(), TRAINING, execution=Execution(checkpointing=True))
    assert {name: type(module) for name, module in model.named_modules()} == modules
    assert {name: p.requires_grad for name, p in model.named_parameters()} == needs
    assert all(module.training is training for module in model.modules())
    assert all(p.grad is None for p in model.parameters())


def test_checkpointing_does_not_change_a_bit():
    plain = learn_weights(model_of(), tokens(), TRAINING)
    lean = learn_weights(model_of(), tokens(), TRAINING, execution=Execution(checkpointing=True))
    assert equal_bits(plain.weights, lean.weights) and equal_bits(plain.masks, lean.masks)


def test_the_weights_come_nearer_to_their_sparse_copy():
    lines = []
    settings = changed(steps=120, interval=10)
    learn_weights(model_of(), tokens()[:4], settings, report=lambda _, v: lines.append(v))
    assert lines[-1]["primal_residual"] < 0.6 * lines[0]["primal_residual"]


def test_bfloat16_weights_are_trained_in_float32(tmp_path, monkeypatch):
    """Steps that bfloat16 weights cannot resolve add up."""
    monkeypatch.setattr("leap.states.checkpoint._SAVING_SHARE", 1e9)  # save before every step
    model = model_of(dtype=torch.bfloat16)
    learn_weights(model, tokens(), changed(learning_rate=1e-4), state=tmp_path, save_seconds=0)
    saved = load_file(max(tmp_path.iterdir()))
    name = "model.layers.0.mlp.up_proj"
    for kind in ("weights", "exp_avg", "exp_avg_sq", "z", "u"):
        assert saved[f"{kind}/{name}"].dtype == torch.float32
    moved = saved[f"weights/{name}"] - prunable_linears(model_of(dtype=torch.bfloat16))[name].weight
    assert 0 < moved.abs().max() < 12e-4


def test_the_score_by_moment_is_the_loss_that_a_weight_costs():
    value, moment = torch.tensor([[3.0, -1.0, 2.0]]), torch.tensor([[1.0, 16.0, 0.0]])
    score = elsa._score(value, moment)
    assert score.tolist() == [[3.0, 4.0, 0.0]]
    assert score.argsort().tolist() == (moment * value.square()).argsort().tolist()
    assert elsa._score(value, None).tolist() == [[3.0, 1.0, 2.0]]
    assert value.tolist() == [[3.0, -1.0, 2.0]]


@pytest.fixture
def every_step(monkeypatch):
    """With `save_seconds=0` a state is saved before every step, whatever that costs."""
    monkeypatch.setattr("leap.states.checkpoint._SAVING_SHARE", 1e9)


class Stopped(Exception):
    """Raised by a report in place of a power cut."""


def run(folder, stop_after=None, settings=TRAINING, act=None):
    """The result, if it comes to that, and what was reported."""
    lines, found = [], None

    def report(step, values):
        lines.append((step, values))
        if step == stop_after:
            if act is None:
                raise Stopped
            act()

    with contextlib.suppress(Stopped):
        found = learn_weights(
            model_of(), tokens(), settings, state=folder, save_seconds=0, report=report
        )
    return found, lines


@pytest.mark.parametrize("projection", elsa.PROJECTIONS)
@pytest.mark.parametrize("stop_after", [0, 2, 3, 7, 11])
def test_a_training_taken_up_again_ends_with_the_very_same_bits(
    tmp_path, every_step, stop_after, projection
):
    settings = changed(projection=projection)
    expected, expected_lines = run(tmp_path / "whole", settings=settings)
    assert run(tmp_path / "cut", stop_after, settings)[0] is None
    found, lines = run(tmp_path / "cut", settings=settings)
    assert equal_bits(found.weights, expected.weights) and equal_bits(found.masks, expected.masks)
    times = ("seconds", "tokens_per_second")
    for (step, line), (wanted_step, wanted) in zip(lines, expected_lines, strict=True):
        assert step == wanted_step
        assert all(line[key] == wanted[key] for key in wanted if key not in times)


def test_sigterm_saves_and_exits_with_its_status(tmp_path):
    expected, _ = run(tmp_path / "whole")
    with pytest.raises(SystemExit) as end:
        run(tmp_path / "cut", 4, act=lambda: os.kill(os.getpid(), signal.SIGTERM))
    assert end.value.code == 143
    newest = max(file.name for file in (tmp_path / "cut").iterdir())
    assert newest == "step-00000005.whole.safetensors"
    found, lines = run(tmp_path / "cut")
    assert equal_bits(found.weights, expected.weights) and len(lines) == 12


def test_the_state_of_another_training_is_refused(tmp_path, every_step):
    run(tmp_path, 3)
    with pytest.raises(ValueError, match="unfinished training of other settings"):
        run(tmp_path, settings=changed(penalty=0.06))


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
        learn_weights(model_of(), tokens(), TRAINING, execution=Execution(micro_batch=3))


def test_tokens_that_are_of_no_use_are_refused():
    with pytest.raises(ValueError, match="the model's context is 16"):
        learn_weights(model_of(), tokens(17), TRAINING)


def test_a_training_that_diverges_is_refused_with_what_to_do():
    with pytest.raises(ValueError, match=r"not finite.*lower learning_rate"):
        learn_weights(model_of(), tokens(), changed(learning_rate=1e30))
