"""Random masks: exact numbers, every weight alike, drawn from the cell's seed and the layer."""

import copy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from baselines import random_mask
from baselines.sequential import prune_model
from leap.model.layers import prunable_linears
from tests.unit.baselines.families import FAMILIES


def draw(rows, columns, keep, **options):
    weight = torch.ones(rows, columns)
    new, mask = random_mask.prune(weight, None, keep, random_mask.Settings(**options))
    assert new is weight
    return mask


@settings(deadline=None, max_examples=100)
@given(
    rows=st.integers(1, 12), columns=st.integers(1, 40), seed=st.integers(0, 2**63 - 1),
    share=st.floats(0, 1), budget=st.sampled_from(["layer", "row"]),
)  # fmt: skip
def test_exactly_so_many_survive_by_seed(rows, columns, seed, share, budget):
    keep = round(share * rows * columns)
    mask = draw(rows, columns, keep, seed=seed, budget=budget)
    assert int(mask.sum()) == keep
    assert torch.equal(mask, draw(rows, columns, keep, seed=seed, budget=budget))
    if budget == "row":
        assert int(mask.sum(dim=1).max() - mask.sum(dim=1).min()) <= 1


@pytest.mark.parametrize("budget", ["layer", "row", "2:4"])
def test_every_weight_has_the_same_chance(budget):
    """Of 400 draws each place is kept 200 times, but for 4.5 standard deviations of 10."""
    count = sum(draw(6, 20, 60, seed=seed, budget=budget).int() for seed in range(400))
    assert int((count - 200).abs().max()) < 45


def masks(seed):
    torch.manual_seed(0)
    pruned = FAMILIES["llama"]()
    before = copy.deepcopy(prunable_linears(pruned))
    chosen = random_mask.Settings(seed=seed)
    found = prune_model(pruned, random_mask, chosen, 0.5, [torch.zeros(1, 4).long()]).masks
    for name, linear in prunable_linears(pruned).items():
        assert torch.equal(linear.weight, before[name].weight * found[name])
    return found


def test_layers_and_seeds_draw_differently_and_a_seed_always_the_same():
    first, again, other = masks(0), masks(0), masks(1)
    for name in first:
        assert torch.equal(first[name], again[name])
        assert not torch.equal(first[name], other[name])
    alike = [mask for mask in first.values() if mask.shape == (24, 24)]
    assert len(alike) == 6  # q and o of three blocks
    for i, mask in enumerate(alike):
        # those of independent draws agree in half of their places
        assert all(0.4 < (mask == later).float().mean() < 0.6 for later in alike[i + 1 :])
