"""The first logits: their spread, the prior's offset, reproducibility."""

import math

import pytest
import torch

from leap.methods.leap import first_logits

SHAPE = (200, 301)


def prior_mask(shape=SHAPE):
    return torch.rand(shape, generator=torch.Generator().manual_seed(3)) < 0.4


@pytest.mark.parametrize("std", [0.014, 2.0])
def test_without_a_prior_they_are_normal_with_the_given_spread(std):
    logits = first_logits(SHAPE, std, 0, None, 3.0)
    assert (logits.dtype, tuple(logits.shape)) == (torch.float32, SHAPE)
    count = logits.numel()
    # five standard errors of mean, standard deviation and of the share within one deviation
    assert abs(float(logits.mean())) < 5 * std / math.sqrt(count)
    assert abs(float(logits.std()) - std) < 5 * std / math.sqrt(2 * count)
    within = float((logits.abs() < std).float().mean())
    assert abs(within - 0.682689) < 5 * math.sqrt(0.683 * 0.317 / count)


@pytest.mark.parametrize("strength", [0.0, 0.5, 3.0])
@pytest.mark.parametrize("kind", [torch.bool, torch.uint8, torch.float32])
def test_a_prior_moves_kept_weights_up_and_the_others_down(strength, kind):
    plain = first_logits(SHAPE, 0.014, 7, None, strength)
    mask = prior_mask()
    moved = first_logits(SHAPE, 0.014, 7, mask.to(kind), strength) - plain
    offset = strength * math.sqrt(plain.double().var())
    expected = offset * (mask.double() * 2 - 1)
    torch.testing.assert_close(moved.double(), expected, rtol=0, atol=1e-8)


def test_with_the_papers_strength_the_signs_are_nearly_the_priors():
    mask = prior_mask()
    logits = first_logits(SHAPE, 0.014, 1, mask, 3.0)
    wrong = float(((logits > 0) != mask).float().mean())
    assert wrong == pytest.approx(0.00135, abs=5 * math.sqrt(0.00135 / mask.numel()))


def test_the_seed_decides_and_nothing_else():
    first = first_logits(SHAPE, 0.014, 5, None, 3.0)
    torch.rand(10)
    assert torch.equal(first_logits(SHAPE, 0.014, 5, None, 3.0), first)
    assert (first_logits(SHAPE, 0.014, 6, None, 3.0) != first).float().mean() > 0.99


@pytest.mark.parametrize("shape", [(301, 200), (200, 300), (1, 301)])
def test_a_prior_of_another_shape_is_refused_even_if_it_would_broadcast(shape):
    with pytest.raises(ValueError, match=r"prior mask has shape \(.*but its layer \(200, 301\)"):
        first_logits(SHAPE, 0.014, 0, prior_mask(shape), 3.0)
