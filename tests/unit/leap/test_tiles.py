"""PATCH's tiles against the plain formula, edges included, their warm start and selection."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from leap.budget import survivors
from leap.methods.maskllm import pattern_masks
from leap.methods.patch import first_tile_logits
from leap.methods.patch.gate import tile_gate
from leap.methods.patch.selection import exact_tiles, positive_tiles, tile_masks
from leap.methods.patch.tiles import tile_sums, tile_weights
from leap.methods.patterns import gumbel, patterns
from leap.methods.relaxation import Relaxation, generator, sample_noise

# one to three bands, the last of which may be lower
SHAPES = [((16, 32), 8), ((13, 20), 8), ((8, 16), 16), ((5, 8), 4), ((11, 8), 4)]


def spread(tiles, size, shape):
    """Each tile's value at its weights, element by element."""
    return torch.stack([
        torch.stack([tiles[row // size, column // size] for column in range(shape[1])])
        for row in range(shape[0])
    ])  # fmt: skip


def choice_noise(shape, size, seed, like, bands=1):
    """The noise of the patterns, so many bands at a time, but a lower last one alone."""
    noise = torch.empty(shape, dtype=like.dtype)
    random = generator(seed ^ 1, torch.device("cpu"))
    whole = shape[0] // size * size
    for part in (*noise[:whole].split(bands * size), noise[whole:]):
        if len(part):
            part[:] = gumbel(part.flatten(0, 1).T.shape, part, random).T.reshape(part.shape)
    return noise


@pytest.mark.parametrize(("shape", "size"), SHAPES)
def test_tiles_have_all_weights_once(shape, size):
    weights = tile_weights(shape, size)
    assert int(weights.sum()) == shape[0] * shape[1]
    assert weights.shape == (-(-shape[0] // size), -(-shape[1] // size))
    counted = torch.zeros_like(weights)
    for row in range(shape[0]):
        for column in range(shape[1]):
            counted[row // size, column // size] += 1
    assert torch.equal(weights, counted)


@pytest.mark.parametrize(("shape", "size"), SHAPES)
def test_sums_over_tiles_are_those_of_their_weights(shape, size):
    values = torch.randn(shape, dtype=torch.float64)
    sums = torch.zeros(tile_weights(shape, size).shape, dtype=torch.float64)
    for row in range(shape[0]):
        for column in range(shape[1]):
            sums[row // size, column // size] += values[row, column]
    torch.testing.assert_close(tile_sums(values, size), sums)


@pytest.mark.parametrize(("shape", "size"), SHAPES)
@pytest.mark.parametrize("norm", ["l2", "l1", "none"])
@pytest.mark.parametrize("mode", ["tile", "joint", "joint, recomputed"])
@pytest.mark.parametrize(("bands", "pattern_alpha"), [(1, None), (2, 3.0), (9, None)])
def test_values_and_gradients_are_those_of_the_plain_formula(
    monkeypatch, shape, size, norm, mode, bands, pattern_alpha
):
    width = shape[1] if mode == "tile" else shape[1] // 4 * 6
    monkeypatch.setattr("leap.methods.patch.gate._CHUNK_ON_CPU", bands * size * width)
    random = torch.Generator().manual_seed(1)
    weight = torch.randn(shape, dtype=torch.float64, generator=random)
    upstream = torch.randn(shape, dtype=torch.float64, generator=random)
    weights = tile_weights(shape, size)
    tiles = torch.randn(weights.shape, dtype=torch.float64, generator=random) * 0.2
    logits = torch.randn(shape[0], shape[1] // 4, 6, dtype=torch.float64, generator=random) * 0.2
    relaxation = Relaxation(alpha=4.0, tau=0.8, pattern_alpha=pattern_alpha)
    ours, theirs = ([t.clone().requires_grad_() for t in (tiles, logits)] for _ in range(2))
    fixed = pattern_masks(logits, 2, 4)
    sparse = fixed if mode == "tile" else ours[1]
    masked, kept, size_of = tile_gate(
        ours[0], sparse, weight, size, (2, 4), relaxation, 9, norm, mode.endswith("recomputed")
    )

    noise = sample_noise(tuple(weights.shape), "logistic", 9, tiles)
    dense = spread(torch.sigmoid((4.0 * theirs[0] + noise) / 0.8), size, shape)
    if mode == "tile":
        base = fixed.double()
    else:
        gumbels = choice_noise(logits.shape, size, 9, logits, bands)
        soft = torch.softmax(((pattern_alpha or 4.0) * theirs[1] + gumbels) / 0.8, dim=2)
        base = (soft @ patterns(2, 4).double()).flatten(1)
    mask = dense + (1 - dense) * base
    order = {"l2": 2, "l1": 1}.get(norm)
    expected_size = torch.linalg.vector_norm(mask * weight, ord=order) if order else mask.sum() * 0
    torch.testing.assert_close(masked, mask * weight)
    torch.testing.assert_close(kept, mask.sum())
    torch.testing.assert_close(size_of, expected_size)
    ((masked * upstream).sum() + 0.3 * size_of + 0.7 * kept).backward()
    ((mask * weight * upstream).sum() + 0.3 * expected_size + 0.7 * mask.sum()).backward()
    torch.testing.assert_close(ours[0].grad, theirs[0].grad)
    if mode != "tile":
        torch.testing.assert_close(ours[1].grad, theirs[1].grad)


@pytest.mark.parametrize(("shape", "size"), SHAPES)
@pytest.mark.parametrize("density", [0.5, 0.55, 0.65, 0.75, 1.0])
def test_a_warm_start_begins_with_the_tiles_of_its_prior(shape, size, density):
    prior = torch.rand(shape, generator=torch.Generator().manual_seed(2)) < density
    logits = first_tile_logits(shape, size, 0.014, 3, prior, density, 3.0)
    weights = tile_weights(shape, size)
    share = torch.zeros(weights.shape, dtype=torch.float64)
    for row in range(shape[0]):
        for column in range(shape[1]):
            share[row // size, column // size] += float(prior[row, column])
    share /= weights
    dense = positive_tiles({"a": logits})["a"]
    assert int(dense.sum()) == int(2 * weights.numel() * (density - 0.5) + 0.5)
    if dense.any() and not dense.all():
        assert float(share[dense].min()) >= float(share[~dense].max())


@given(st.data())
def test_exact_tiles_are_as_near_as_whole_tiles_allow(data):
    seed = data.draw(st.integers(0, 500))
    sparsity = data.draw(st.sampled_from([0.05, 0.25, 0.35, 0.45, 0.5]))
    random = torch.Generator().manual_seed(seed)
    layers = {"a": ((13, 20), 8), "b": ((16, 32), 8)}
    weights = {name: tile_weights(*where) for name, where in layers.items()}
    logits = {name: torch.randn(w.shape, generator=random) for name, w in weights.items()}
    dense = exact_tiles(logits, weights, sparsity, (2, 4))
    flat = torch.cat([logits[name].flatten() for name in layers])
    chosen = torch.cat([dense[name].flatten() for name in layers])
    sizes = torch.cat([weights[name].flatten() for name in layers])
    if chosen.any() and not chosen.all():
        assert float(flat[chosen].min()) >= float(flat[~chosen].max())
    total = int(sizes.sum())
    wanted = survivors(total, sparsity)

    def miss(count):
        top = flat.argsort(descending=True)[:count]
        return abs(total / 2 + float(sizes[top].sum()) / 2 - wanted)

    assert miss(int(chosen.sum())) == min(miss(count) for count in range(len(flat) + 1))


def test_tiles_of_a_mask_are_dense_or_2_4():
    logits = torch.randn(13, 5, 6)
    sparse = pattern_masks(logits, 2, 4)
    tiles = torch.tensor([[True, False, True], [False, False, True]])
    mask = tile_masks(tiles, sparse, 8)
    for row in range(2):
        for column in range(3):
            area = (slice(8 * row, 8 * row + 8), slice(8 * column, 8 * column + 8))
            part = mask[area]
            assert part.all() if tiles[row, column] else torch.equal(part, sparse[area])


def test_hard_tiles_pass_the_soft_gradient():
    tiles = torch.tensor([[0.1, -0.2], [-0.1, 0.3]], requires_grad=True)
    sparse = pattern_masks(torch.randn(16, 4, 6), 2, 4)
    weight = torch.ones(16, 16)
    masked, kept, _ = tile_gate(
        tiles, sparse, weight, 8, (2, 4), Relaxation(4.0, 0.5, hard=True), 3, "none"
    )
    assert set(masked.unique().tolist()) == {0.0, 1.0}
    assert float(kept.detach()) == float(masked.detach().sum())
    masked.sum().backward()
    assert tiles.grad is not None and (tiles.grad > 0).all()


def test_the_prior_moves_tiles_by_three_standard_deviations():
    prior = torch.rand((64, 64), generator=torch.Generator().manual_seed(2)) < 0.65
    plain = first_tile_logits((64, 64), 4, 0.014, 3, None, 0.65, 3.0)
    logits = first_tile_logits((64, 64), 4, 0.014, 3, prior, 0.65, 3.0)
    assert float(plain.std()) == pytest.approx(0.014, rel=0.1)
    noise = plain.clamp(-0.99 * 0.042, 0.99 * 0.042)  # so that no noise changes a sign
    torch.testing.assert_close((logits - noise).abs(), torch.full_like(logits, 0.042))
    assert int((logits > 0).sum()) == round(2 * 256 * 0.15)
