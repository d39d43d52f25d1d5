"""Reconstruction against slow ones: Adam by hand, whole models with hooks."""

import copy
import json
import math

import numpy as np
import pytest
import torch
from torch import nn

from baselines import admm, reconstruct, wanda
from baselines.reconstruct import Settings
from baselines.replay import record
from baselines.sequential import prune_model
from baselines.submodules import submodules
from leap.model.layers import decoder_blocks, prunable_linears
from tests.unit.baselines.families import FAMILIES

SPARSITY = 0.6
PARTS = {"opt": ["self_attn", "fc1", "fc2"], None: ["self_attn", "mlp"]}
INPUTS = ["dense", "pruned"]


@pytest.fixture
def batches():
    torch.manual_seed(1)
    return list(torch.randint(3, 60, (7, 16)).split(3))  # the last batch is smaller


@pytest.fixture(params=FAMILIES)
def family(request):
    return request.param


def parts_of(model, family):
    prefix, blocks = decoder_blocks(model)
    parts = PARTS.get(family, PARTS[None])
    return [f"{prefix}.{index}.{part}" for index in range(len(blocks)) for part in parts]


def dense_model(family="llama"):
    torch.manual_seed(0)
    return FAMILIES[family]().eval()


def pruned_by(method, model, batches, **options):
    """Masks and changed weights that a method leaves, of a copy of the model."""
    pruned_model = copy.deepcopy(model)
    pruned = prune_model(pruned_model, method, method.Settings(**options), SPARSITY, batches)
    linears = prunable_linears(pruned_model)
    return pruned.masks, {name: linears[name].weight.detach().clone() for name in pruned.changed}


@pytest.mark.parametrize("inputs", INPUTS)
@pytest.mark.parametrize("method", [wanda, admm])
def test_masks_stay_and_no_error_rises_in_any_family(family, method, inputs, batches):
    model = dense_model(family)
    before = copy.deepcopy(model.state_dict())
    masks, weights = pruned_by(method, model, batches)
    settings = Settings(learning_rate=1e-3, epochs=3, batch=2, inputs=inputs)
    pruned = reconstruct.prune_model(model, settings, SPARSITY, batches, masks, weights)
    linears = prunable_linears(model)
    assert list(pruned.masks) == list(linears)
    for name, linear in linears.items():
        assert torch.equal(pruned.masks[name], masks[name])
        assert not linear.weight[~masks[name]].any()
        assert torch.isfinite(linear.weight).all()
    after = model.state_dict()
    rest = [name for name in before if name.removesuffix(".weight") not in linears]
    assert all(torch.equal(after[name], before[name]) for name in rest)
    assert all(parameter.grad is None for parameter in model.parameters())
    names = parts_of(model, family)
    assert len(pruned.events) == len(names)
    for name, event in zip(names, pruned.events, strict=True):
        assert event["layers"] == [n for n in linears if f"{n}.".startswith(f"{name}.")]
        assert 0 < event["error_after"] <= event["error_before"]
        assert event["undone"] == int(event["error_after"] == event["error_before"])
    assert sum(event["undone"] for event in pruned.events) < len(names) / 2
    new = [
        n for n in linears if not torch.equal(linears[n].weight, before[f"{n}.weight"] * masks[n])
    ]
    assert pruned.changed == new


def of_whole_model(model, batches, names):
    """By sub-module: its arguments and outputs in runs of the whole model, batch by batch."""
    seen = {name: [] for name in names}

    def hook(name):
        return lambda _, args, kwargs, output: seen[name].append((args, kwargs, first(output)))

    handles = [
        model.get_submodule(name).register_forward_hook(hook(name), with_kwargs=True)
        for name in names
    ]
    with torch.no_grad():
        for ids in batches:
            model(input_ids=ids, use_cache=False)
    for handle in handles:
        handle.remove()
    return seen


def first(output):
    return output[0] if isinstance(output, tuple) else output


@pytest.mark.parametrize("rate", [1e4, 1e30])  # far too high
@pytest.mark.parametrize("inputs", INPUTS)
def test_what_does_not_fall_is_undone_and_errors_are_those_of_whole_models(
    family, inputs, rate, batches
):
    model = dense_model(family)
    dense = copy.deepcopy(model)
    masks, weights = pruned_by(admm, model, batches)
    settings = Settings(learning_rate=rate, epochs=1, batch=2, inputs=inputs)
    pruned = reconstruct.prune_model(model, settings, SPARSITY, batches, masks, weights)
    start = copy.deepcopy(dense)
    linears = prunable_linears(start)
    for name, linear in linears.items():
        linear.weight.data = weights.get(name, linear.weight.data) * masks[name]
    for name, linear in prunable_linears(model).items():
        assert torch.equal(linear.weight, linears[name].weight)
    assert pruned.changed == list(weights)
    json.dumps(pruned.events, allow_nan=False)
    assert {event["undone"] for event in pruned.events} == {1}

    names = parts_of(model, family)
    of_dense, of_pruned = (of_whole_model(m, batches, names) for m in (dense, start))
    for name, event in zip(names, pruned.events, strict=True):
        outputs = torch.cat([output for _, _, output in of_pruned[name]]).double()
        if inputs == "dense":
            targets = [output for _, _, output in of_dense[name]]
        else:
            module = dense.get_submodule(name)
            with torch.no_grad():
                targets = [first(module(*a, **k)) for a, k, _ in of_pruned[name]]
        target = torch.cat(targets).double()
        error = float((outputs - target).square().sum() / target.square().sum())
        assert event["error_before"] == event["error_after"] == pytest.approx(error, rel=1e-3)


class Made(nn.Module):
    """A module with these children and this forward pass."""

    def __init__(self, run, **children):
        super().__init__()
        self.run = run
        for name, child in children.items():
            self.add_module(name, child)

    def forward(self, hidden_states):
        return self.run(self, hidden_states)


def block_of(child):
    return Made(lambda block, x: x + block.child(x), child=child)


class Model(nn.Module):
    """An embedding and these blocks."""

    def __init__(self, blocks, width=6):
        super().__init__()
        self.embedding = nn.Embedding(60, width)
        self.layers = nn.ModuleList(blocks)

    def forward(self, input_ids, use_cache):
        hidden = self.embedding(input_ids)
        for block in self.layers:
            hidden = block(hidden)
        return hidden


def random_masks(model, density=0.5):
    """Masks with this share of survivors in every layer, and the sparsity."""
    torch.manual_seed(3)
    masks = {}
    for name, linear in prunable_linears(model).items():
        keep = int(density * linear.weight.numel())
        flat = torch.zeros(linear.weight.numel(), dtype=torch.bool)
        flat[torch.randperm(len(flat))[:keep]] = True
        masks[name] = flat.view_as(linear.weight)
    return masks, 1 - density


def adam_by_hand(weights, masks, examples, rate):
    """One pass over batches of (inputs, targets), in float64; gradients written out."""
    up, down = weights
    scale = np.mean(np.concatenate([t.ravel() for _, t in examples]) ** 2)
    moments = [[np.zeros_like(w), np.zeros_like(w)] for w in weights]
    for step, (x, target) in enumerate(examples, 1):
        hidden = np.tanh(x @ up.T)
        of_output = 2 * (hidden @ down.T - target) / target.size / scale
        of_hidden = of_output @ down * (1 - hidden**2)
        gradients = [of_hidden.T @ x, of_output.T @ hidden]
        now = rate * (1 - (step - 1) / len(examples))
        for weight, gradient, mask, moment in zip(
            (up, down), gradients, masks, moments, strict=True
        ):
            gradient = gradient * mask
            moment[0] = 0.9 * moment[0] + 0.1 * gradient
            moment[1] = 0.999 * moment[1] + 0.001 * gradient**2
            root = np.sqrt(moment[1] / (1 - 0.999**step)) + 1e-8
            weight -= now * moment[0] / (1 - 0.9**step) / root
    return up, down


def two_layers():
    """A block with an MLP."""
    layers = {"up": nn.Linear(6, 4, bias=False), "down": nn.Linear(4, 6, bias=False)}
    return block_of(Made(lambda m, x: m.down(torch.tanh(m.up(x))), **layers))


@pytest.mark.parametrize(("steps", "epochs"), [(1, 1), (3, 1), (2, 2)])
@pytest.mark.parametrize("inputs", INPUTS)
def test_steps_are_those_of_adam_by_hand(steps, epochs, inputs, batches):
    torch.manual_seed(4)
    model = Model([two_layers(), two_layers()])
    dense = copy.deepcopy(model)
    masks, sparsity = random_masks(model)
    weights = {n: m.weight.detach() + 0.1 for n, m in prunable_linears(model).items()}
    ids = torch.cat(batches)[: 2 * steps]
    settings = Settings(learning_rate=1e-2, epochs=epochs, batch=2, inputs=inputs)
    pruned = reconstruct.prune_model(model, settings, sparsity, [ids], masks, weights)
    assert [event["undone"] for event in pruned.events] == [0, 0]
    x_dense = x_pruned = dense.embedding(ids).detach()
    for index, (block, tuned) in enumerate(zip(dense.layers, model.layers, strict=True)):
        with torch.no_grad():
            target = block.child(x_dense if inputs == "dense" else x_pruned)
        examples = [
            [part.flatten(0, 1).double().numpy() for part in pair]
            for pair in zip(x_pruned.split(2), target.split(2), strict=True)
        ]
        names = [name for name in masks if name.startswith(f"layers.{index}.")]
        start = [(weights[n] * masks[n]).double().numpy() for n in names]
        of_block = [masks[n].numpy() for n in names]
        expected = adam_by_hand(start, of_block, examples * epochs, 1e-2)
        for name, weight in zip(names, expected, strict=True):
            found = prunable_linears(model)[name].weight.detach().double().numpy()
            assert np.abs(found - weight).max() < 1e-5
        with torch.no_grad():
            x_dense, x_pruned = block(x_dense), tuned(x_pruned)


def test_bfloat16_weights_are_tuned_in_float32(batches):
    """Thousands of steps that are each too small for bfloat16 add up."""
    torch.manual_seed(2)
    model = Model([two_layers()]).to(torch.bfloat16)
    masks, sparsity = random_masks(model)
    # from weights that are too large by a tenth
    weights = {n: 1.1 * m.weight.detach() for n, m in prunable_linears(model).items()}
    settings = Settings(learning_rate=1e-4, epochs=600, batch=7)
    (event,) = reconstruct.prune_model(model, settings, sparsity, batches, masks, weights).events
    assert all(linear.weight.dtype == torch.bfloat16 for linear in prunable_linears(model).values())
    assert event["error_after"] < 0.97 * event["error_before"]


def test_numbers_that_are_not_finite_are_named(batches):
    model = dense_model()
    masks, weights = pruned_by(wanda, model, batches)
    name = "model.layers.1.mlp.up_proj"
    weights[name] = prunable_linears(model)[name].weight.detach().clone()
    weights[name][masks[name]] = math.inf
    with pytest.raises(ValueError, match=r"^model\.layers\.1\.mlp: a weight or a hidden state"):
        reconstruct.prune_model(model, Settings(epochs=1), SPARSITY, batches, masks, weights)


def half_each(module, x):
    halves = zip(module.experts, x.chunk(2, dim=1), strict=True)
    return torch.cat([expert(half) for expert, half in halves], dim=1)


def mixture():
    return Made(half_each, experts=nn.ModuleList([nn.Linear(6, 6), nn.Linear(6, 6)]))


UNSUPPORTED = {
    # a mixture of experts, and a child that runs twice
    r"layers\.0\.child\.experts\.0": lambda: block_of(mixture()),
    r"layers\.0\.mix": lambda: Made(lambda m, x: m.mix(m.mix(x)), mix=nn.Linear(6, 6)),
}


@pytest.mark.parametrize("named", UNSUPPORTED)
def test_blocks_whose_parts_do_not_run_once_on_every_token_are_refused(named, batches):
    torch.manual_seed(2)
    model = Model([UNSUPPORTED[named]() for _ in range(2)])
    masks, sparsity = random_masks(model)
    with pytest.raises(ValueError, match=rf"^{named} does not run exactly once on every token"):
        reconstruct.prune_model(model, Settings(), sparsity, batches, masks, {})


def test_sub_modules_come_in_the_order_in_which_they_run(batches):
    first = nn.Sequential(nn.Linear(6, 6), nn.Tanh())
    children = {"norm": nn.LayerNorm(6), "last": nn.Linear(6, 6), "first": first}
    model = Model([Made(lambda m, x: m.last(m.norm(m.first(x))), **children)])
    prefix, blocks = decoder_blocks(model)
    recording = record(model, blocks, batches)
    found = submodules(blocks[0], f"{prefix}.0", recording.calls[0][0], recording.hidden[0])
    assert [part.name for part in found] == ["layers.0.first", "layers.0.last"]
    assert [list(part.linears) for part in found] == [["layers.0.first.0"], ["layers.0.last"]]
