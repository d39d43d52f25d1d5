"""How many weights each layer keeps: OWL by brute force, densities of other masks, exact totals."""

import copy
import itertools

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from baselines import admm, magnitude, wanda
from baselines.allocation import _spread, of_masks, owl
from baselines.sequential import prune_model
from leap.budget import layer_survivors, survivors
from leap.model.layers import prunable_linears
from tests.unit.baselines.families import FAMILIES, SIZE, inputs_of


@pytest.fixture
def model():
    torch.manual_seed(0)
    model = FAMILIES["llama"]().eval()
    with torch.no_grad():  # so that blocks differ in outliers
        for index, block in enumerate(model.model.layers):
            block.mlp.up_proj.weight[: 3 * index] *= 30
    return model


@pytest.fixture
def batches():
    torch.manual_seed(1)
    return list(torch.randint(3, 60, (7, 16)).split(3))


def owl_by_hand(model, batches, sparsity):
    """Every input kept whole, every block's scores in one list, densities as the paper has them."""
    linears = prunable_linears(model)
    inputs = inputs_of(model, linears, batches)
    share = {}
    for block in range(SIZE["num_hidden_layers"]):
        scores = []
        for name, linear in linears.items():
            if f".layers.{block}." in name:
                norm = inputs[name].double().square().sum(0).sqrt()
                scores += (linear.weight.double().abs() * norm).flatten().tolist()
        mean = sum(scores) / len(scores)
        share[block] = sum(score > 5 * mean for score in scores) / len(scores)
    low, high = min(share.values()), max(share.values())
    assert high > low
    scaled = {block: (value - low) / (high - low) * 2 * 0.08 for block, value in share.items()}
    middle = sum(scaled.values()) / len(scaled)  # blocks are of one size
    return {block: 1 - sparsity + value - middle for block, value in scaled.items()}


@pytest.mark.parametrize("sparsity", [0.3, 0.5, 0.7])
def test_owl_gives_blocks_the_densities_of_its_formula(model, batches, sparsity):
    expected = owl_by_hand(model, batches, sparsity)
    before = copy.deepcopy(model.state_dict())
    keep = owl(model, sparsity, batches)
    linears = prunable_linears(model)
    assert list(keep) == list(linears)
    assert sum(keep.values()) == survivors(
        sum(x.weight.numel() for x in linears.values()), sparsity
    )
    for name, count in keep.items():
        block = int(name.split(".")[2])
        assert count == pytest.approx(expected[block] * linears[name].weight.numel(), abs=1.01)
    assert max(expected.values()) - min(expected.values()) == pytest.approx(0.16)
    after = model.state_dict()
    assert all(torch.equal(tensor, after[name]) for name, tensor in before.items())


def test_owl_needs_room_for_its_spread(model, batches):
    with pytest.raises(ValueError, match=r"up to 0.16, which sparsity 0.99 has no room for"):
        owl(model, 0.99, batches)


LAYERS = st.lists(st.tuples(st.integers(1, 5000), st.floats(0, 1)), min_size=1, max_size=30)


@given(LAYERS, st.sampled_from([0.2, 0.5, 0.6, 0.75]))
def test_a_spread_keeps_the_total_and_stays_within_reach(layers, sparsity):
    sizes = {str(place): size for place, (size, _) in enumerate(layers)}
    shares = {str(place): share for place, (_, share) in enumerate(layers)}
    keep = _spread(sizes, shares, sparsity)
    assert sum(keep.values()) == survivors(sum(sizes.values()), sparsity)
    for name, size in sizes.items():
        assert 0 <= keep[name] <= size
        assert abs(keep[name] - (1 - sparsity) * size) <= 0.16 * size + 2
    ordered = sorted(sizes, key=lambda name: shares[name])
    for less, more in itertools.pairwise(ordered):
        assert keep[less] / sizes[less] <= keep[more] / sizes[more] + 2 / min(
            sizes[less], sizes[more]
        )


def test_blocks_without_a_difference_are_pruned_alike(model):
    sizes = {name: linear.weight.numel() for name, linear in prunable_linears(model).items()}
    assert _spread(sizes, dict.fromkeys(sizes, 0.01), 0.5) == layer_survivors(sizes, 0.5)


@pytest.mark.parametrize(
    ("method", "options"), [(wanda, {}), (wanda, {"budget": "layer"}), (admm, {}), (magnitude, {})]
)
def test_a_method_can_have_the_densities_of_another_mask(model, batches, method, options):
    other = {
        name: torch.rand(linear.weight.shape) < 0.3 + 0.4 * (index % 2)
        for index, (name, linear) in enumerate(prunable_linears(model).items())
    }
    total = sum(mask.numel() for mask in other.values())
    kept = sum(int(mask.sum()) for mask in other.values())
    sparsity = 1 - kept / total
    keep = of_masks(model, other, sparsity)
    masks = prune_model(
        model, method, method.Settings(**options), sparsity, batches, keep=keep
    ).masks
    assert {n: int(m.sum()) for n, m in masks.items()} == {
        n: int(m.sum()) for n, m in other.items()
    }
    assert not all(torch.equal(masks[name], other[name]) for name in other)


def test_densities_of_another_model_or_number_are_refused(model):
    masks = {n: torch.ones_like(x.weight) > 0 for n, x in prunable_linears(model).items()}
    with pytest.raises(ValueError, match="set its selection to exact"):
        of_masks(model, masks, 0.5)
    masks.popitem()
    with pytest.raises(ValueError, match="belong to another model"):
        of_masks(model, masks, 0.5)
