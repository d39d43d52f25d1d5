"""Random masks: every weight alike, drawn from the cell's seed and the layer."""

import pytest
import torch

from baselines import random_mask
from baselines.sequential import prune_model
from tests.unit.baselines.families import FAMILIES


@pytest.mark.parametrize("budget", ["layer", "row", "2:4"])
def test_every_weight_has_the_same_chance(budget):
    """Of 400 draws each place is kept 200 times, but for 4.5 standard deviations of 10."""
    every = (random_mask.Settings(budget, seed) for seed in range(400))
    count = sum(random_mask.prune(torch.ones(6, 20), None, 60, x)[1].int() for x in every)
    assert int((count - 200).abs().max()) < 45


def masks(seed):
    model, chosen = FAMILIES["llama"](), random_mask.Settings(seed=seed)
    return prune_model(model, random_mask, chosen, 0.5, [torch.zeros(1, 4).long()]).masks


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
