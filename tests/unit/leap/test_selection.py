"""Exact selection over a whole model against sorting in plain Python."""

import math
from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from leap.methods.leap.selection import exact_masks, threshold_masks
from leap.selection import density

TINY, LARGEST = 1e-45, 3.4028234663852886e38
# few distinct values, so that ties are the rule; neighbours that differ in the last bit only
TIES = st.sampled_from([0.0, -0.0, 1.0, -1.0, 0.5, TINY, -TINY])
EXTREME = st.sampled_from(
    [math.inf, -math.inf, LARGEST, -LARGEST, float(np.nextafter(np.float32(1), np.float32(2))), 1.0]
)
ANY = st.floats(width=32, allow_nan=False)
SHAPES = hnp.array_shapes(min_dims=2, max_dims=2, max_side=7)


def layers_of(elements):
    layer = SHAPES.flatmap(lambda shape: hnp.arrays(np.float32, shape, elements=elements))
    return st.lists(layer, min_size=1, max_size=4)


LAYERS = st.one_of(layers_of(TIES), layers_of(EXTREME), layers_of(ANY), layers_of(TIES | ANY))


def named(layers):
    # names in an order that is not the alphabet's
    return {f"layers.{9 - i}.proj": torch.from_numpy(layer) for i, layer in enumerate(layers)}


def oracle(layers, sparsity):
    """Sort all numbers of the model by value, largest first, then by position."""
    values = [float(value) for layer in layers for value in layer.flatten()]
    keep = math.floor((1 - Fraction(str(sparsity))) * len(values) + Fraction(1, 2))
    order = sorted(range(len(values)), key=lambda index: (-values[index], index))
    kept = [False] * len(values)
    for index in order[:keep]:
        kept[index] = True
    return kept


@settings(deadline=None, max_examples=60)
@given(LAYERS, st.floats(0, 1))
@example([np.zeros((2, 3), np.float32)], 0.5)
@example([np.float32([[0.0, -0.0, -0.0, 0.0]])], 0.5)
@example([np.float32([[-1.0, -2.0]]), np.float32([[-1.0], [-0.5]])], 0.5)
@example([np.full((3, 3), -math.inf, np.float32)], 0.4)
def test_masks_are_the_sorted_prefix_of_the_whole_model(layers, sparsity):
    logits = named(layers)
    masks = exact_masks(logits, sparsity)
    assert list(masks) == list(logits)
    for name, mask in masks.items():
        assert (mask.dtype, mask.shape) == (torch.bool, logits[name].shape)
    found = [bool(kept) for mask in masks.values() for kept in mask.flatten()]
    assert found == oracle(layers, sparsity)


def test_a_large_model_agrees_with_a_stable_sort():
    generator = torch.Generator().manual_seed(0)
    logits = {
        "a": torch.randn(301, 203, generator=generator),
        "b": torch.randn(77, 500, generator=generator).round(decimals=1),  # thousands of ties
        "c": torch.randn(1, 1013, generator=generator).t() * 1e-3,  # neither contiguous
    }
    flat = torch.cat([values.reshape(-1) for values in logits.values()])
    for sparsity in (0.3, 0.5, 0.6, 0.99):
        keep = round((1 - sparsity) * len(flat))
        expected = torch.zeros(len(flat), dtype=torch.bool)
        expected[torch.sort(flat, descending=True, stable=True).indices[:keep]] = True
        masks = exact_masks(logits, sparsity)
        assert torch.equal(torch.cat([mask.reshape(-1) for mask in masks.values()]), expected)
        assert density(masks) == keep / len(flat)


def test_logits_are_not_changed():
    logits = {"a": torch.tensor([[1.0, -0.0], [-3.0, 0.0]], requires_grad=True)}
    before = logits["a"].detach().clone()
    exact_masks(logits, 0.5)
    assert torch.equal(logits["a"].detach().view(torch.int32), before.view(torch.int32))


@pytest.mark.parametrize("layer", ["a", "b"])
@pytest.mark.parametrize("sparsity", [0.0, 0.5])
def test_nan_is_refused_wherever_it_is(layer, sparsity):
    logits = {"a": torch.zeros(2, 3), "b": torch.zeros(3, 1)}
    logits[layer][-1, -1] = math.nan
    with pytest.raises(ValueError, match="a logit is NaN: the training diverged"):
        exact_masks(logits, sparsity)


def test_the_official_rule_keeps_exactly_the_positive_logits():
    masks = threshold_masks({"a": torch.tensor([[1.0, 0.0, -0.0], [TINY, -TINY, -1.0]])})
    assert masks["a"].tolist() == [[True, False, False], [True, False, False]]
    assert density(masks) == pytest.approx(1 / 3)
