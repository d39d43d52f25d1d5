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


BEFORE = {"self_attn": ("input_layernorm", "self_attn_layer_norm"), "fc1": ("final_layer_norm",),
          "mlp": ("post_attention_layernorm", "pre_feedforward_layernorm")}  # fmt: skip


def test_the_authors_way_fits_each_part_and_its_norm_to_the_dense_model(family, batches):
    """In the intact model but for one part, since only dense hidden states are seen."""
    model = dense_model(family)
    dense = copy.deepcopy(model)
    masks, _ = pruned_by(wanda, model, batches)
    settings = Settings(3e-3, epochs=2, batch=2, trained_on="dense", norms=True, warmup=0.1)
    pruned = reconstruct.prune_model(model, settings, SPARSITY, batches, masks, {})
    linears, names = prunable_linears(model), parts_of(model, family)
    tuned = dict(model.named_parameters())
    new = {n for n, p in dense.named_parameters() if not torch.equal(p, tuned[n])}
    assert set(pruned.beside) == {n for n in new if n.removesuffix(".weight") not in linears}
    assert pruned.beside, "norms are among what changed"
    of_dense = of_whole_model(dense, batches, names)
    for name, event in zip(names, pruned.events, strict=True):
        single = copy.deepcopy(dense)
        block, _, part = name.rpartition(".")
        norms = tuple(f"{block}.{norm}." for norm in BEFORE.get(part, ()))
        own = [name for name in pruned.beside if name.startswith(norms)]
        for layer in event["layers"]:
            assert not linears[layer].weight[~masks[layer]].any()
        for parameter in (*own, *(f"{layer}.weight" for layer in event["layers"])):
            single.get_parameter(parameter).data = tuned[parameter].data
        if event["undone"]:
            assert not own
        targets = torch.cat([output for _, _, output in of_dense[name]]).double()
        outputs = of_whole_model(single, batches, [name])[name]
        found = torch.cat([output for _, _, output in outputs]).double()
        error = float((found - targets).square().sum() / targets.square().sum())
        assert event["error_after"] == pytest.approx(error, rel=1e-3)
        assert event["error_after"] <= event["error_before"]
    assert sum(event["undone"] for event in pruned.events) < len(names) / 2


def test_dense_hidden_states_need_dense_targets():
    with pytest.raises(ValueError, match="trained_on: dense needs inputs: dense"):
        Settings(inputs="pruned", trained_on="dense")


def test_a_norm_is_trained_with_the_module_that_it_is_before(batches):
    torch.manual_seed(5)
    children = {"norm": nn.LayerNorm(6), "child": two_layers().child}
    model = Model([Made(lambda block, x: x + block.child(block.norm(x)), **children)])
    dense = copy.deepcopy(model)
    masks, sparsity = random_masks(model)
    ids = torch.cat(batches)[:6]
    settings = Settings(1e-2, epochs=2, batch=2, norms=True, warmup=0.5)
    pruned = reconstruct.prune_model(model, settings, sparsity, [ids], masks, {})
    assert pruned.beside == ["layers.0.norm.weight", "layers.0.norm.bias"]
    block = copy.deepcopy(dense.layers[0]).double()
    linears = [module for module in block.modules() if isinstance(module, nn.Linear)]
    for linear, mask in zip(linears, masks.values(), strict=True):
        linear.weight.data *= mask
    inputs = dense.embedding(ids).detach()
    with torch.no_grad():
        targets = dense.layers[0].child(dense.layers[0].norm(inputs)).double()
    adam = torch.optim.Adam(block.parameters(), lr=1)
    for step, rate in enumerate([1 / 3, 2 / 3, 1, 1, 2 / 3, 1 / 3]):
        rows = slice(2 * (step % 3), 2 * (step % 3) + 2)
        found = block.child(block.norm(inputs[rows].double()))
        loss = (found - targets[rows]).square().mean() / targets.square().mean()
        adam.zero_grad()
        loss.backward()
        for linear, mask in zip(linears, masks.values(), strict=True):
            linear.weight.grad *= mask
        adam.param_groups[0]["lr"] = 1e-2 * rate
        adam.step()
    for name, parameter in block.named_parameters():
        tuned = model.layers[0].get_parameter(name)
        assert torch.allclose(tuned.double(), parameter, atol=1e-5), name


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


def test_a_norm_before_two_modules_belongs_to_neither(batches):
    children = {"norm": nn.LayerNorm(6), "one": nn.Linear(6, 6), "two": nn.Linear(6, 6)}
    model = Model([Made(lambda m, x: (lambda y: m.one(y) + m.two(y))(m.norm(x)), **children)])
    prefix, blocks = decoder_blocks(model)
    recording = record(model, blocks, batches)
    call, hidden = recording.calls[0][0], recording.hidden[0]
    found = submodules(blocks[0], f"{prefix}.0", call, hidden, norms=True)
    assert [part.norm for part in found] == [None, None]
    model.layers[0].run = lambda m, x: m.two(m.one(m.norm(x)))
    found = submodules(blocks[0], f"{prefix}.0", call, hidden, norms=True)
    assert [part.norm_name for part in found] == ["layers.0.norm", ""]
    assert found[0].norm is model.layers[0].norm
