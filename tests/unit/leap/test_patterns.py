"""MaskLLM's choice among N:M patterns against the plain formula, and its warm start."""

from math import comb

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from leap.methods.maskllm import pattern_gate, pattern_masks, sample_gumbel
from leap.methods.patterns import first_pattern_logits, numbers_of, patterns
from leap.methods.relaxation import Relaxation

PATTERNS = [(1, 4), (2, 4), (4, 8), (3, 4)]


@pytest.mark.parametrize(("n", "m"), PATTERNS)
def test_the_table_has_every_pattern_once(n, m):
    table = patterns(n, m)
    assert table.shape == (comb(m, n), m)
    assert len({tuple(row) for row in table.tolist()}) == comb(m, n)
    assert (table.sum(dim=1) == n).all() and set(table.unique().tolist()) == {0.0, 1.0}


def test_the_table_of_2_4_as_in_the_paper():
    assert [tuple(map(int, row)) for row in patterns(2, 4)] == [
        (0, 0, 1, 1), (0, 1, 0, 1), (0, 1, 1, 0), (1, 0, 0, 1), (1, 0, 1, 0), (1, 1, 0, 0),
    ]  # fmt: skip


@pytest.mark.parametrize(("n", "m"), [(0, 4), (4, 4), (5, 4), (8, 16)])
def test_patterns_that_cannot_be_learned_are_refused(n, m):
    with pytest.raises(ValueError, match=rf"{n}:{m} has \d+ patterns"):
        patterns(n, m)


def test_a_pattern_is_read_as_it_is_written():
    assert [numbers_of(f"{n}:{m}") for n, m in PATTERNS] == PATTERNS
    for wrong in ("", "2", "2:", ":4", "2:4:8", "a:b", "-2:4"):
        with pytest.raises(ValueError, match=rf"pattern is '{wrong}', but must be written"):
            numbers_of(wrong)


def one_shot(shape: tuple[int, int], n: int, m: int, seed: int = 0) -> torch.Tensor:
    scores = torch.rand(shape[0], shape[1] // m, m, generator=torch.Generator().manual_seed(seed))
    kept = torch.zeros_like(scores).scatter_(2, scores.topk(n, dim=2).indices, 1)
    return kept.flatten(1).bool()


@pytest.mark.parametrize(("n", "m"), PATTERNS)
@pytest.mark.parametrize("strength", [0.0, 3.0])
def test_a_warm_start_begins_with_exactly_its_mask(n, m, strength):
    prior = one_shot((64, 128), n, m)
    logits = first_pattern_logits(prior.shape, n, m, 0.014, 7, prior, strength)
    assert torch.equal(pattern_masks(logits, n, m), prior)


def test_the_prior_of_2_4_is_one_less_than_the_shared_positions():
    prior = one_shot((64, 128), 2, 4)
    strong = first_pattern_logits(prior.shape, 2, 4, 0.014, 7, prior, 3.0)
    weak = first_pattern_logits(prior.shape, 2, 4, 0.014, 7, prior, 0.0)
    shared = torch.einsum("ogm,km->ogk", prior.view(64, 32, 4).float(), patterns(2, 4))
    torch.testing.assert_close(strong - weak, (shared - 1) * 0.014 * 3)
    plain = first_pattern_logits(prior.shape, 2, 4, 0.014, 7, None, 3.0)
    assert torch.equal(plain.sort(dim=2).values, weak.sort(dim=2).values), "the same noise"
    assert float(plain.std()) == pytest.approx(0.014, rel=0.02)


def test_a_prior_of_another_pattern_or_shape_is_refused():
    with pytest.raises(ValueError, match="does not keep 2 of every 4"):
        first_pattern_logits((8, 16), 2, 4, 0.014, 0, one_shot((8, 16), 1, 4), 3.0)
    with pytest.raises(ValueError, match="10 inputs are no multiple of 4"):
        first_pattern_logits((8, 10), 2, 4, 0.014, 0, None, 3.0)


def plain(logits, weight, n, m, relaxation, seed, norm):
    """The formula, one step after another, for autograd."""
    noise = sample_gumbel(logits.shape, seed, logits)
    soft = torch.softmax((relaxation.alpha * logits + noise) / relaxation.tau, dim=2)
    mask = (soft @ patterns(n, m).to(logits)).flatten(1)
    masked = mask * weight
    order = {"l2": 2, "l1": 1}.get(norm)
    size = torch.zeros((), dtype=torch.float64)
    return masked, torch.linalg.vector_norm(masked, ord=order) if order else size


@pytest.mark.parametrize("norm", ["l2", "l1", "none"])
@pytest.mark.parametrize("recompute", [False, True])
@pytest.mark.parametrize(("n", "m"), PATTERNS)
def test_values_and_gradients_are_those_of_the_plain_formula(n, m, norm, recompute):
    generator = torch.Generator().manual_seed(3)
    weight = torch.randn(6, 16, dtype=torch.float64, generator=generator)
    logits = torch.randn(6, 16 // m, comb(m, n), dtype=torch.float64, generator=generator) * 0.1
    upstream = torch.randn(6, 16, dtype=torch.float64, generator=generator)
    relaxation = Relaxation(alpha=5.0, tau=0.7)
    ours, theirs = logits.clone().requires_grad_(), logits.clone().requires_grad_()
    masked, kept, size = pattern_gate(ours, weight, n, m, relaxation, 11, norm, recompute)
    expected, expected_size = plain(theirs, weight, n, m, relaxation, 11, norm)
    torch.testing.assert_close(masked, expected)
    torch.testing.assert_close(size, expected_size)
    assert float(kept) == 6 * 16 * n / m
    ((masked * upstream).sum() + 0.3 * size).backward()
    ((expected * upstream).sum() + 0.3 * expected_size).backward()
    torch.testing.assert_close(ours.grad, theirs.grad)


def test_many_chunks_are_one_and_equal_seeds_are_equal(monkeypatch):
    weight, logits = torch.randn(40, 64), torch.randn(40, 16, 6)
    whole = pattern_gate(logits, weight, 2, 4, Relaxation(5.0, 0.5), 3)
    again = pattern_gate(logits, weight, 2, 4, Relaxation(5.0, 0.5), 3)
    assert torch.equal(whole[0], again[0])
    monkeypatch.setattr("leap.methods.maskllm._LOGITS_ON_CPU", 60)
    noise = sample_gumbel(logits.shape, 3, logits)
    parts = pattern_gate(logits, weight, 2, 4, Relaxation(5.0, 0.5), 3)
    soft = torch.softmax((5.0 * logits + noise) / 0.5, dim=2)
    torch.testing.assert_close(parts[0], (soft @ patterns(2, 4)).flatten(1) * weight)


def test_hard_masks_are_patterns_and_pass_the_soft_gradient():
    weight = torch.ones(8, 16)
    logits = torch.randn(8, 4, 6, requires_grad=True)
    masked, _, _ = pattern_gate(logits, weight, 2, 4, Relaxation(5.0, 0.5, hard=True), 3, "none")
    assert set(masked.unique().tolist()) == {0.0, 1.0}
    assert (masked.view(8, 4, 4).sum(dim=2) == 2).all()
    masked.sum().backward()
    assert torch.isfinite(logits.grad).all()


def test_the_mean_and_variance_of_the_noise():
    noise = sample_gumbel((100_000, 6), 1, torch.empty(1))
    assert float(noise.mean()) == pytest.approx(0.5772, abs=0.01)
    assert float(noise.var()) == pytest.approx(1.6449, abs=0.02)


@given(st.data())
def test_every_group_of_a_mask_keeps_n_of_m(data):
    n, m = data.draw(st.sampled_from(PATTERNS))
    logits = torch.randn(5, 3, comb(m, n), generator=torch.Generator().manual_seed(data.draw(
        st.integers(0, 1000))))  # fmt: skip
    mask = pattern_masks(logits, n, m)
    assert mask.dtype == torch.bool and mask.shape == (5, 3 * m)
    assert (mask.view(5, 3, m).sum(dim=2) == n).all()
    logits[2, 1, 0] = float("nan")
    with pytest.raises(ValueError, match="NaN"):
        pattern_masks(logits, n, m)
