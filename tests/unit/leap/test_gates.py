"""The fused gate against plain autograd, finite differences and the distributions it claims."""

import math

import pytest
import torch

from leap.methods import relaxation as relaxations
from leap.methods.leap.gate import bernoulli_gate as gate
from leap.methods.maskllm import pattern_gate
from leap.methods.patch.gate import tile_gate
from leap.methods.relaxation import Relaxation, sample_noise

# odd, and both larger and smaller than a row of the matrices below
CHUNK = 7


@pytest.fixture
def small_chunks(monkeypatch):
    monkeypatch.setattr(relaxations, "_CHUNK_ON_CPU", CHUNK)


def matrices(shape=(5, 6), dtype=torch.float64, seed=0):
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(shape, dtype=torch.float64, generator=generator).to(dtype)
    weight = torch.randn(shape, dtype=torch.float64, generator=generator).to(dtype)
    return logits.requires_grad_(), weight


def reference(logits, weight, relaxation, seed, norm):
    """The formulas of the paper, one operation after the other."""
    noise = sample_noise(tuple(logits.shape), relaxation.noise, seed, logits)
    mask = torch.sigmoid((relaxation.alpha * logits + noise) / relaxation.tau)
    if relaxation.hard:
        mask = mask + ((mask > 0.5).to(mask.dtype) - mask).detach()
    masked = mask * weight
    norms = {
        "l2": masked.pow(2).sum().sqrt(),
        "l1": (mask * weight.abs()).sum(),  # masks are not negative, and abs has no slope at 0
        "none": masked.sum() * 0,
    }
    return masked, mask.sum(), norms[norm]


def combined(outputs, upstream):
    """A scalar whose gradient reaches all three outputs."""
    masked, total, norm = outputs
    return (masked.double() * upstream).sum() + 0.3 * total - 1.7 * norm


@pytest.mark.parametrize("shape", [(1, 1), (1, 7), (7, 1), (2, 7), (3, 5), (5, 6)])
@pytest.mark.parametrize("recompute", [False, True])
@pytest.mark.parametrize("hard", [False, True])
@pytest.mark.parametrize("noise", ["logistic", "gumbel"])
@pytest.mark.parametrize("norm", ["l2", "l1", "none"])
def test_outputs_and_gradient_are_those_of_plain_autograd(
    small_chunks, norm, noise, hard, recompute, shape
):
    relaxation = Relaxation(alpha=2.0, tau=0.6, noise=noise, hard=hard)
    logits, weight = matrices(shape)
    upstream = torch.randn(shape, dtype=torch.float64)
    expected_logits = logits.detach().clone().requires_grad_()
    outputs = gate(logits, weight, relaxation, 11, norm, recompute)
    expected = reference(expected_logits, weight, relaxation, 11, norm)
    for ours, theirs in zip(outputs, expected, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=1e-12)
    combined(outputs, upstream).backward()
    combined(expected, upstream).backward()
    # a norm of zero (a hard mask that removes everything) has no gradient in plain autograd
    wanted = expected_logits.grad
    if norm == "l2" and expected[2] == 0:
        mask = reference(expected_logits, weight, Relaxation(2.0, 0.6, noise), 11, "none")[0]
        mask = (mask / weight).detach()
        wanted = (upstream * weight + 0.3) * mask * (1 - mask) * 2.0 / 0.6
    torch.testing.assert_close(logits.grad, wanted, rtol=1e-10, atol=1e-12)


def test_the_real_chunk_size_is_crossed_in_float32():
    shape = (257, 1031)  # two chunks and a bit
    assert math.prod(shape) > 2 * relaxations._CHUNK_ON_CPU
    relaxation = Relaxation(alpha=2.0, tau=0.6)
    logits, weight = matrices(shape, torch.float32)
    expected_logits = logits.detach().clone().requires_grad_()
    outputs = gate(logits, weight, relaxation, 5)
    expected = reference(expected_logits, weight, relaxation, 5, "l2")
    torch.testing.assert_close(outputs[0], expected[0], rtol=1e-5, atol=1e-6)
    for ours, theirs in zip(outputs[1:], expected[1:], strict=True):
        assert ours.item() == pytest.approx(theirs.item(), rel=1e-5)
    upstream = torch.randn(shape, dtype=torch.float64)
    combined(outputs, upstream).backward()
    combined(expected, upstream).backward()
    torch.testing.assert_close(logits.grad, expected_logits.grad, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("hard", [False, True])
@pytest.mark.parametrize("norm", ["l2", "l1", "none"])
def test_recomputing_gives_the_very_same_bits(small_chunks, norm, hard):
    relaxation = Relaxation(alpha=2.0, tau=0.6, hard=hard)
    results = []
    for recompute in (False, True):
        logits, weight = matrices((5, 9), torch.float32)
        outputs = gate(logits, weight, relaxation, 4, norm, recompute)
        combined(outputs, torch.linspace(-1, 1, 45).view(5, 9)).backward()
        results.append([*outputs, logits.grad])
    assert all(torch.equal(kept, drawn) for kept, drawn in zip(*results, strict=True))


@pytest.mark.parametrize("noise", ["logistic", "gumbel"])
def test_the_seed_alone_decides_the_mask(small_chunks, noise):
    relaxation = Relaxation(alpha=2.0, tau=0.6, noise=noise)
    logits, weight = matrices()
    first = gate(logits, weight, relaxation, 1)
    torch.rand(100)  # the global generator has no say
    again = gate(logits, weight, relaxation, 1)
    other = gate(logits, weight, relaxation, 2)
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert (first[0] != other[0]).all()


def test_drawing_masks_leaves_the_global_generator_alone():
    logits, weight = matrices()
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    gate(logits, weight, Relaxation(1.0, 1.0), 1)
    assert torch.equal(torch.rand(3), expected)


@pytest.mark.parametrize("noise", ["logistic", "gumbel"])
def test_no_chunk_repeats_the_noise_of_another(small_chunks, noise):
    drawn = sample_noise((6, CHUNK), noise, 0, torch.zeros((), dtype=torch.float64))
    assert len(drawn.unique()) == 6 * CHUNK


@pytest.mark.parametrize("recompute", [False, True])
def test_bfloat16_weights_are_masked_in_float32_and_rounded_once(small_chunks, recompute):
    relaxation = Relaxation(alpha=2.0, tau=0.6)
    logits, weight = matrices((5, 9), torch.float32)
    weight = weight.bfloat16()
    expected_logits = logits.detach().clone().requires_grad_()
    masked, total, norm = gate(logits, weight, relaxation, 6, "l2", recompute)
    expected = reference(expected_logits, weight.float(), relaxation, 6, "l2")
    assert masked.dtype == torch.bfloat16
    assert total.dtype == norm.dtype == torch.float64
    # one rounding to 8 bits of mantissa
    torch.testing.assert_close(masked.float(), expected[0], rtol=2**-8, atol=0)
    assert total.item() == pytest.approx(expected[1].item(), rel=1e-6)
    assert norm.item() == pytest.approx(expected[2].item(), rel=1e-6)
    upstream = torch.linspace(-1, 1, 45).view(5, 9).bfloat16()
    (masked * upstream).sum().backward(retain_graph=True)
    (0.3 * total - 1.7 * norm).backward()
    combined(expected, upstream.double()).backward()
    assert logits.grad.dtype == torch.float32
    torch.testing.assert_close(logits.grad, expected_logits.grad, rtol=1e-5, atol=1e-6)


def test_only_the_logits_get_a_gradient():
    logits, weight = matrices()
    weight.requires_grad_()
    masked, total, norm = gate(logits, weight, Relaxation(1.0, 1.0), 0)
    (masked.sum() + total + norm).backward()
    assert weight.grad is None
    assert logits.grad.abs().min() > 0


def test_saturated_masks_are_zero_or_one_and_have_no_gradient():
    weight = torch.full((1, 2), 3.0)
    logits = torch.tensor([[-100.0, 100.0]], requires_grad=True)
    masked, total, norm = gate(logits, weight, Relaxation(350.0, 0.05), 0)
    assert masked.tolist() == [[0.0, 3.0]]
    assert (total.item(), norm.item()) == (1.0, 3.0)
    (masked.sum() + total + norm).backward()
    assert logits.grad.tolist() == [[0.0, 0.0]]


def test_a_norm_of_zero_has_a_finite_gradient():
    logits = torch.zeros(2, 3, requires_grad=True)
    gate(logits, torch.zeros(2, 3), Relaxation(1.0, 1.0), 0)[2].backward()
    assert logits.grad.tolist() == [[0.0] * 3] * 2


# mean, variance and kurtosis of the distributions, and their distribution functions
LOGISTIC = (0.0, math.pi**2 / 3, 4.2, lambda x: 1 / (1 + math.exp(-x)))
GUMBEL = (0.5772156649, math.pi**2 / 6, 5.4, lambda x: math.exp(-math.exp(-x)))


@pytest.mark.parametrize(("kind", "moments"), [("logistic", LOGISTIC), ("gumbel", GUMBEL)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_noise_has_the_distribution_it_is_named_after(kind, moments, dtype):
    mean, variance, kurtosis, distribution = moments
    count = 2**20 + 1  # several chunks, the last one odd
    noise = sample_noise((count,), kind, 123, torch.zeros((), dtype=dtype)).double()
    assert noise.isfinite().all()
    # five standard errors: one fair sample in two million lies outside
    assert float(noise.mean()) == pytest.approx(mean, abs=5 * math.sqrt(variance / count))
    error = variance * math.sqrt((kurtosis - 1) / count)
    assert float(noise.var()) == pytest.approx(variance, abs=5 * error)
    for point in (-3.0, -1.0, 0.0, 1.0, 4.0):
        wanted = distribution(point)
        share = float((noise <= point).double().mean())
        assert share == pytest.approx(wanted, abs=5 * math.sqrt(wanted / count) + 1e-9), point


@pytest.mark.parametrize("distance", [1, 2, 2**17])
def test_noise_of_neighbours_is_uncorrelated(distance):
    """One draw makes two neighbours, and chunks follow one another."""
    noise = sample_noise((2**19,), "logistic", 7, torch.zeros(()))
    pairs = torch.stack([noise[:-distance], noise[distance:]])
    assert abs(float(torch.corrcoef(pairs)[0, 1])) < 5 / math.sqrt(pairs.shape[1])


@pytest.mark.parametrize("tau", [0.6, 0.4, 0.26])
def test_no_masked_weight_is_subnormal(tau):
    """A CPU multiplies subnormal numbers a hundred times more slowly."""
    random = torch.Generator().manual_seed(4)
    weight = torch.randn(64, 128, generator=random) * 0.05
    smallest = torch.finfo(torch.float32).tiny
    relaxation = Relaxation(290.0, tau)
    logits = torch.randn(64, 128, generator=random) * 0.15
    choices = torch.randn(64, 32, 6, generator=random) * 0.15
    tiles = torch.randn(8, 16, generator=random) * 0.15
    for masked in (
        gate(logits, weight, relaxation, 1)[0],
        pattern_gate(choices, weight, 2, 4, relaxation, 1)[0],
        tile_gate(tiles, choices, weight, 8, (2, 4), relaxation, 1)[0],
    ):
        tiny = (masked != 0) & (masked.abs() < smallest)
        assert not tiny.any()
        assert (masked == 0).any()
    noise = sample_noise((64, 128), "logistic", 1, logits)
    plain = torch.sigmoid((290.0 * logits + noise) / tau) * weight
    assert ((plain != 0) & (plain.abs() < smallest)).any(), "nothing was at stake"
