"""The driver on real model classes: what methods see, what comes out, what must not change."""

import copy

import pytest
import torch
from torch import nn

from baselines import (
    admm,
    alps,
    magnitude,
    random_mask,
    registry,
    sequential,
    sparsegpt,
    thanos,
    wanda,
    whole_model,
)
from baselines.replay import record
from baselines.sequential import prune_model
from baselines.statistics import NoStatistic
from leap.budget import survivors
from leap.model.layers import decoder_blocks, prunable_linears
from tests.unit.baselines.families import FAMILIES, SIZE, inputs_of


@pytest.fixture(params=FAMILIES)
def model(request):
    torch.manual_seed(0)
    return FAMILIES[request.param]().eval()


@pytest.fixture
def batches():
    torch.manual_seed(1)
    return list(torch.randint(3, 60, (7, 16)).split(3))  # the last batch is smaller


METHODS = [
    (magnitude, {}), (magnitude, {"budget": "global"}), (wanda, {}), (wanda, {"budget": "global"}),
    (sparsegpt, {}), (thanos, {}), (admm, {}), (admm, {"budget": "row"}),
    (alps, {}), (alps, {"budget": "row"}), (random_mask, {}),
]  # fmt: skip


@pytest.mark.parametrize(("method", "options"), METHODS)
def test_counts_are_exact_and_removed_weights_zero(model, batches, method, options):
    before = {n: m.weight.clone() for n, m in prunable_linears(model).items()}
    rest = {
        n: p.clone() for n, p in model.named_parameters() if n.removesuffix(".weight") not in before
    }
    driver = {"sequential": sequential, "whole_model": whole_model}[registry.driver(options)]
    pruned = driver.prune_model(model, method, method.Settings(**options), 0.6, batches)
    masks = pruned.masks
    assert list(masks) == list(before)
    total = sum(mask.numel() for mask in masks.values())
    assert sum(int(mask.sum()) for mask in masks.values()) == survivors(total, 0.6)
    for name, linear in prunable_linears(model).items():
        assert not linear.weight[~masks[name]].any()
        if method in (magnitude, wanda):
            assert torch.equal(linear.weight, before[name] * masks[name])
    for name, parameter in model.named_parameters():
        if name in rest:
            assert torch.equal(parameter, rest[name]), name
    after = {name: linear.weight for name, linear in prunable_linears(model).items()}
    new = [n for n in after if not torch.equal(after[n], before[n] * masks[n])]
    assert pruned.changed == new
    assert bool(new) == (method in (sparsegpt, thanos, admm, alps))


class InPlace:
    """Magnitude pruning that changes one weight that it keeps, in the very tensor it was given."""

    Statistic, Settings = NoStatistic, magnitude.Settings
    prepare = staticmethod(magnitude.prepare)

    @staticmethod
    def prune(weight_OI, prepared, keep, settings):
        mask_OI = magnitude.prune(weight_OI, prepared, keep, settings)[1]
        if weight_OI.shape[0] == SIZE["intermediate_size"]:
            weight_OI[tuple(mask_OI.nonzero()[0])] += 1
        return weight_OI, mask_OI


def test_a_weight_changed_in_place_counts_as_changed(batches):
    model = FAMILIES["llama"]().eval()
    changed = prune_model(model, InPlace, magnitude.Settings(), 0.5, batches).changed
    assert changed == [n for n in prunable_linears(model) if n.endswith(("gate_proj", "up_proj"))]


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (lambda weight, mask: mask, "must return a pair, the new weight and the mask"),
        (lambda weight, mask: (weight, mask.T), r"the mask is \[24, 40\], not \[40, 24\]"),
        (lambda weight, mask: (weight, mask.float()), r"the mask is torch\.float32, not bool"),
        (lambda weight, mask: (weight, mask | True), "the method kept 960 of 960 weights, not 480"),
    ],
)
def test_what_a_method_returns_is_checked(wrong, message, batches):
    class Wrong(InPlace):
        @staticmethod
        def prune(weight_OI, prepared, keep, settings):
            pair = magnitude.prune(weight_OI, prepared, keep, settings)
            return wrong(*pair) if weight_OI.shape == (40, 24) else pair

    with pytest.raises(ValueError, match=rf"^model\.layers\.0\.mlp\.\w+: .*{message}"):
        prune_model(FAMILIES["llama"]().eval(), Wrong, magnitude.Settings(), 0.5, batches)


def test_global_scores_are_those_of_the_dense_model(batches):
    """Wanda over the whole model, by one sort of all scores."""
    torch.manual_seed(0)
    model = FAMILIES["llama"]().eval()
    linears = prunable_linears(model)
    inputs = inputs_of(model, linears, batches)
    scores = torch.cat([
        (linear.weight.abs() * inputs[name].pow(2).mean(0).sqrt()).flatten()
        for name, linear in linears.items()
    ])  # fmt: skip
    masks = whole_model.prune_model(model, wanda, wanda.Settings("global"), 0.6, batches).masks
    found = torch.cat([masks[name].flatten() for name in linears])
    assert scores[found].min() > scores[~found].max() * (1 - 1e-5)


@pytest.mark.parametrize(
    ("budget", "message"),
    [
        ("2:4", r"budget 2:4 has the sparsity 0.5, not 0.6"),
        ("global", r"budget global needs the driver baselines\.whole_model"),
    ],
)
def test_a_budget_that_the_driver_cannot_keep_is_refused(budget, message, batches):
    with pytest.raises(ValueError, match=message):
        prune_model(FAMILIES["llama"](), wanda, wanda.Settings(budget), 0.6, batches)


@pytest.mark.parametrize("driver", [sequential, whole_model])
def test_a_score_that_is_not_finite_is_named(driver, batches):
    model = FAMILIES["llama"]().eval()
    model.model.layers[1].mlp.up_proj.weight.data[2, 3] = float("nan")
    settings = magnitude.Settings("global" if driver is whole_model else "layer")
    with pytest.raises(ValueError, match=r"model\.layers\.1\.mlp\.up_proj: a pruning score"):
        driver.prune_model(model, magnitude, settings, 0.5, batches)


def test_dead_columns_are_events_of_the_layers_that_share_them(batches):
    model = FAMILIES["llama"]().eval()
    model.model.layers[1].input_layernorm.weight.data[5] = 0
    events = prune_model(model, sparsegpt, sparsegpt.Settings(), 0.5, batches).events
    names = [f"model.layers.1.self_attn.{kind}_proj" for kind in "qkv"]
    assert events == [{"layers": names, "dead_columns": 1}]


def test_wanda_against_a_dense_walk_over_whole_models(model, batches):
    """Block by block, the slow way: the whole model runs on every sequence for every block."""
    expected = copy.deepcopy(model)
    prefix, blocks = decoder_blocks(expected)
    linears = prunable_linears(expected)
    for index in range(len(blocks)):
        names = [n for n in linears if n.startswith(f"{prefix}.{index}.")]
        sequences = [sequence[None] for batch in batches for sequence in batch]
        inputs = inputs_of(expected, {name: linears[name] for name in names}, sequences)
        for name in names:
            weight = linears[name].weight.data
            score = weight.abs() * inputs[name].pow(2).sum(0).sqrt()
            for row in range(weight.shape[0]):  # half of an even number of columns: no left-over
                weakest = sorted(range(weight.shape[1]), key=lambda j: score[row, j].item())
                weight[row, weakest[: weight.shape[1] // 2]] = 0
    prune_model(model, wanda, wanda.Settings(), 0.5, batches)
    for name, linear in prunable_linears(model).items():
        assert torch.equal(linear.weight, linears[name].weight), name


def test_recorded_arguments_are_shared_between_batches(batches):
    model = FAMILIES["gemma3"]().eval()
    _, blocks = decoder_blocks(model)
    calls = record(model, blocks, batches).calls[0]
    first, second = (call.kwargs["position_embeddings"] for call in calls[:2])
    assert all(a is b for a, b in zip(first, second, strict=True))


class Entangled(nn.Module):
    """Blocks that speak to each other behind the hidden states' back."""

    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(60, 8)
        self.blocks = nn.ModuleList([nn.Sequential(nn.Linear(8, 8)) for _ in range(2)])

    def forward(self, input_ids, use_cache):
        hidden = self.embedding(input_ids)
        return self.blocks[1](self.blocks[0](hidden) + hidden)


def test_blocks_that_cannot_be_run_one_at_a_time_are_refused(batches):
    with pytest.raises(ValueError, match="cannot be pruned block by block"):
        prune_model(Entangled(), wanda, wanda.Settings(), 0.5, batches)


def test_unknown_methods_and_settings_are_named():
    with pytest.raises(ValueError, match=r"baselines/wandaa\.py"):
        registry.load("wandaa")
    with pytest.raises(ValueError, match="is not a method"):
        registry.load("sequential")
    assert registry.load("random-mask") is random_mask
    with pytest.raises(ValueError, match=r"'random-masks': there is no .*/random_masks\.py"):
        registry.load("random-masks")
    with pytest.raises(ValueError, match=r"methods\.wanda: unknown setting budgets; known: budget"):
        registry.make_settings(wanda, "wanda", {"budgets": "row"})
