"""The terms of LEAP's loss against loops in plain Python."""

import math

import pytest
import torch

from leap.training.objective import density_term, magnitude_term

SIZES = [12, 30, 6, 48, 20]
BLOCKS = [0, 0, 1, 2, 2]
BLOCK_OF = torch.tensor(BLOCKS), 3
KEPT = [3.5, 20.25, 5.0, 11.0, 0.75]


def tensor(values):
    return torch.tensor(values, dtype=torch.float64)


@pytest.mark.parametrize("density", [0.05, 0.4, 0.9])
def test_global_density_is_taken_over_all_weights_and_not_over_layers(density):
    term = density_term(tensor(KEPT), tensor(SIZES), *BLOCK_OF, density, "global")
    assert float(term) == pytest.approx(abs(sum(KEPT) / sum(SIZES) - density))
    mean_of_layers = sum(k / s for k, s in zip(KEPT, SIZES, strict=True)) / len(SIZES)
    assert float(term) != pytest.approx(abs(mean_of_layers - density))


@pytest.mark.parametrize("density", [0.05, 0.4, 0.9])
def test_density_per_block_is_the_mean_of_the_blocks_distances(density):
    distances = []
    for block in sorted(set(BLOCKS)):
        layers = [layer for layer, owner in enumerate(BLOCKS) if owner == block]
        kept, size = (sum(values[layer] for layer in layers) for values in (KEPT, SIZES))
        distances.append(abs(kept / size - density))
    term = density_term(tensor(KEPT), tensor(SIZES), *BLOCK_OF, density, "per_block")
    assert float(term) == pytest.approx(sum(distances) / len(distances))
    summed = density_term(tensor(KEPT), tensor(SIZES), *BLOCK_OF, density, "per_block_sum")
    assert float(summed) == pytest.approx(sum(distances))


def test_blocks_that_cancel_out_satisfy_the_global_term_only():
    kept, sizes = tensor([10.0, 0.0]), tensor([10.0, 10.0])
    assert float(density_term(kept, sizes, torch.tensor([0, 1]), 2, 0.5, "global")) == 0
    assert float(density_term(kept, sizes, torch.tensor([0, 1]), 2, 0.5, "per_block")) == 0.5


@pytest.mark.parametrize("scope", ["global", "per_block"])
@pytest.mark.parametrize(("density", "sign"), [(0.01, 1), (0.99, -1)])
def test_the_density_term_pulls_every_layer_towards_the_target(scope, density, sign):
    kept = tensor(KEPT).requires_grad_()
    density_term(kept, tensor(SIZES), *BLOCK_OF, density, scope).backward()
    if scope == "global":
        expected = [1 / sum(SIZES)] * len(SIZES)
    else:
        totals = [sum(s for s, b in zip(SIZES, BLOCKS, strict=True) if b == k) for k in BLOCKS]
        expected = [1 / total / 3 for total in totals]
    assert kept.grad.tolist() == pytest.approx([sign * value for value in expected])


def test_float32_layers_are_summed_without_losing_small_ones():
    """A sum of masks as large as a big model's, given in float64 as the gates do."""
    kept = tensor([2.0**33, 3.0])
    sizes = tensor([2.0**34, 8.0])
    wanted = (2**33 + 3) / (2**34 + 8) - 0.25
    assert float(
        density_term(kept, sizes, torch.tensor([0, 0]), 1, 0.25, "global")
    ) == pytest.approx(wanted, abs=1e-15)


@pytest.mark.parametrize("progress", [0.0, 0.25, 1.0])
def test_the_norm_ratio_fades_out_and_the_l1_share_does_not(progress):
    masked, whole = [1.0, 2.5, 0.25], [4.0, 3.0, 0.5]
    share = sum(masked) / sum(whole)
    ratio = magnitude_term("norm_ratio", tensor(masked), tensor(whole), progress)
    assert float(ratio) == pytest.approx(-(1 - progress) * share)
    plain = magnitude_term("norm_sum", tensor(masked), tensor(whole), progress)
    assert float(plain) == pytest.approx(-(1 - progress) * sum(masked))
    l1 = magnitude_term("l1", tensor(masked), tensor(whole), progress)
    assert float(l1) == pytest.approx(-share)


def test_the_magnitude_term_of_real_masks_is_the_formula():
    torch.manual_seed(0)
    weights = [torch.randn(3, 4), torch.randn(5, 2)]
    masks = [torch.rand_like(weight) for weight in weights]

    def numbers(matrix):
        return matrix.flatten().tolist()

    top = bottom = top_l1 = bottom_l1 = 0.0
    for weight, mask in zip(weights, masks, strict=True):
        products = [m * w for m, w in zip(numbers(mask), numbers(weight), strict=True)]
        top += math.sqrt(sum(p * p for p in products))
        bottom += math.sqrt(sum(w * w for w in numbers(weight)))
        top_l1 += sum(abs(p) for p in products)
        bottom_l1 += sum(abs(w) for w in numbers(weight))
    for kind, order, wanted in (
        ("norm_ratio", 2, -0.7 * top / bottom),
        ("l1", 1, -top_l1 / bottom_l1),
    ):
        norms = [
            torch.stack([torch.linalg.vector_norm(matrix, ord=order) for matrix in matrices])
            for matrices in ([m * w for m, w in zip(masks, weights, strict=True)], weights)
        ]
        assert float(magnitude_term(kind, *norms, 0.3)) == pytest.approx(wanted, rel=1e-5)
