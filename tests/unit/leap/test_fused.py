"""The kernels for GPUs against plain autograd with their own noise, and that against its law.

Without a GPU they run in Triton's interpreter, which tests/conftest.py asks for.
"""

import math
import os
import subprocess
import sys
from itertools import pairwise

import numpy as np
import pytest
import torch
from scipy import stats

pytest.importorskip("triton", reason="Triton is not installed")

import triton
import triton.language as tl
from triton.runtime.interpreter import InterpretedFunction

from leap.methods.leap.fused import _BLOCK, _bits, _elements, _noise, _places, fused_gate
from leap.methods.leap.gate import bernoulli_gate as gate
from leap.methods.relaxation import Relaxation

INTERPRETED = isinstance(tl.philox, InterpretedFunction)


@pytest.fixture(params=["cpu", pytest.param("cuda", marks=pytest.mark.cuda)])
def device(request):
    if request.param == "cuda" and not torch.cuda.is_available():
        pytest.skip("needs a GPU")
    if (request.param == "cpu") != INTERPRETED:
        mode = "interprets" if INTERPRETED else "compiles"
        pytest.skip(f"Triton {mode} in this process, see TRITON_INTERPRET")
    return torch.device(request.param)


@triton.jit
def _write_noise(noise, count, counter, before, seed, NOISE: tl.constexpr, BLOCK: tl.constexpr):
    place_B, inside_B = _elements(count, before, BLOCK)
    tl.store(noise + place_B, _noise(_bits(seed, counter, BLOCK), NOISE), inside_B)


@triton.jit
def _write_noise_of_bits(noise, bits, NOISE: tl.constexpr, BLOCK: tl.constexpr):
    place_B = tl.arange(0, BLOCK)
    tl.store(noise + place_B, _noise(tl.load(bits + place_B), NOISE))


def noise_of(shape, kind, seed, device, first=0):
    """The noise that the kernels draw for a matrix of this shape, float32."""
    noise = torch.empty(shape, device=device)
    programs, place = _places(noise.numel(), first)
    _write_noise[(programs,)](noise, *place, seed, kind, _BLOCK)
    return noise


def matrices(shape, device, dtype=torch.float32, seed=0):
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(shape, generator=generator).to(device)
    weight = torch.randn(shape, generator=generator).to(device, dtype)
    return logits.requires_grad_(), weight


def reference(logits, weight, relaxation, seed, norm):
    """The formulas of the paper in float64, one operation after the other."""
    noise = noise_of(logits.shape, relaxation.noise, seed, logits.device).double()
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


def check_against_reference(shape, dtype, relaxation, norm, device):
    logits, weight = matrices(shape, device, dtype)
    expected_logits = logits.detach().double().requires_grad_()
    masked, total, norm_value = fused_gate(logits, weight, relaxation, 11, norm)
    expected = reference(expected_logits, weight.double(), relaxation, 11, norm)
    assert masked.dtype == dtype
    assert total.dtype == norm_value.dtype == torch.float64
    # once to 8 bits of mantissa, which GPUs do by rounding, but the interpreter by cutting off
    error = (2**-7 if INTERPRETED else 2**-8) if dtype == torch.bfloat16 else 1e-5
    torch.testing.assert_close(masked.double(), expected[0], rtol=error, atol=1e-6)
    torch.testing.assert_close(total, expected[1], rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(norm_value, expected[2], rtol=1e-6, atol=1e-6)
    upstream = torch.linspace(-1, 1, math.prod(shape), device=device).view(shape).to(dtype)
    torch.autograd.backward(
        (masked, total, norm_value), (upstream, torch.tensor(0.3), torch.tensor(-1.7))
    )
    torch.autograd.backward(
        expected, (upstream.double(), torch.tensor(0.3).double(), torch.tensor(-1.7).double())
    )
    assert logits.grad.dtype == torch.float32
    torch.testing.assert_close(logits.grad.double(), expected_logits.grad, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("hard", [False, True])
@pytest.mark.parametrize("noise", ["logistic", "gumbel"])
@pytest.mark.parametrize("norm", ["l2", "l1", "none"])
def test_outputs_and_gradient_are_those_of_plain_autograd(norm, noise, hard, dtype, device):
    relaxation = Relaxation(alpha=2.0, tau=0.6, noise=noise, hard=hard)
    check_against_reference((5, 7), dtype, relaxation, norm, device)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("shape", [(1, 1), (1, 7), (33, 129), (2, _BLOCK)])
def test_any_shape_will_do(shape, dtype, device):
    check_against_reference(shape, dtype, Relaxation(alpha=2.0, tau=0.6), "l2", device)


def test_matrices_need_not_be_contiguous(device):
    relaxation = Relaxation(alpha=2.0, tau=0.6)
    logits, weight = (matrix.detach() for matrix in matrices((5, 7), device))
    gradients = []
    for turn in (lambda matrix: matrix, lambda matrix: matrix.T.contiguous().T):
        leaf = turn(logits).detach().requires_grad_()
        masked = fused_gate(leaf, turn(weight), relaxation, 3)[0]
        masked.backward(turn(weight))
        gradients.append((masked, leaf.grad))
    assert all(torch.equal(a, b) for a, b in zip(*gradients, strict=True))


def test_the_seed_alone_decides_the_mask(device):
    logits, weight = matrices((33, 129), device)
    results = []
    for seed in (1, 1, 2, 1 + 2**62):
        logits.grad = None
        outputs = fused_gate(logits, weight, Relaxation(2.0, 0.6), seed)
        (outputs[0].sum() + outputs[1] + outputs[2]).backward()
        results.append([*(output.detach() for output in outputs), logits.grad])
    first, again, other, high = results
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert (first[0] != other[0]).all()
    assert (first[0] != high[0]).all()


@pytest.mark.parametrize("cuts", [(16,), (1, 2, 3, 32)])
def test_rows_of_a_matrix_have_the_bits_they_have_in_the_whole(cuts, device):
    """129 columns, so that rows begin at any word of a counter."""
    relaxation = Relaxation(alpha=2.0, tau=0.6)
    logits, weight = matrices((33, 129), device, torch.bfloat16)
    whole, total, norm = fused_gate(logits, weight, relaxation, 5)
    whole.backward(weight)
    totals, squares = 0.0, 0.0
    for start, stop in pairwise((0, *cuts, 33)):
        rows = logits.detach()[start:stop].requires_grad_()
        part = fused_gate(rows, weight[start:stop], relaxation, 5, first=start * 129)
        part[0].backward(weight[start:stop])
        assert torch.equal(part[0], whole[start:stop])
        assert torch.equal(rows.grad, logits.grad[start:stop])
        totals += part[1].item()
        squares += part[2].item() ** 2
    assert totals == pytest.approx(total.item(), rel=1e-6)
    assert math.sqrt(squares) == pytest.approx(norm.item(), rel=1e-6)


def test_nothing_is_kept_but_inputs_and_the_norm(device):
    logits, weight = matrices((5, 7), device)
    masked, _, _ = fused_gate(logits, weight, Relaxation(2.0, 0.6), 1)
    kept = masked.grad_fn.saved_tensors
    assert [t.data_ptr() for t in kept[:2]] == [logits.data_ptr(), weight.data_ptr()]
    assert [t.numel() for t in kept[2:]] == [1]


def test_only_the_logits_get_a_gradient(device):
    logits, weight = matrices((5, 7), device)
    weight.requires_grad_()
    masked, total, norm = fused_gate(logits, weight, Relaxation(1.0, 1.0), 0)
    (masked.sum() + total + norm).backward()
    assert weight.grad is None
    assert logits.grad.abs().min() > 0


@pytest.mark.filterwarnings("ignore:overflow encountered in exp")  # it is infinite on a GPU too
def test_saturated_masks_are_zero_or_one_and_have_no_gradient(device):
    weight = torch.full((1, 2), 3.0, device=device)
    logits = torch.tensor([[-100.0, 100.0]], device=device, requires_grad=True)
    masked, total, norm = fused_gate(logits, weight, Relaxation(350.0, 0.05), 0)
    assert masked.tolist() == [[0.0, 3.0]]
    assert (total.item(), norm.item()) == (1.0, 3.0)
    (masked.sum() + total + norm).backward()
    assert logits.grad.tolist() == [[0.0, 0.0]]


def test_a_norm_of_zero_has_a_finite_gradient(device):
    logits = torch.zeros(2, 3, device=device, requires_grad=True)
    weight = torch.zeros(2, 3, device=device)
    fused_gate(logits, weight, Relaxation(1.0, 1.0), 0)[2].backward()
    assert logits.grad.tolist() == [[0.0] * 3] * 2


def test_logits_in_bfloat16_are_gated_in_float32_and_their_gradient_is_rounded_once(device):
    logits, weight = matrices((5, 7), device)
    relaxation, found = Relaxation(3.0, 0.7), {}
    for dtype in (torch.bfloat16, torch.float32):
        own = logits.detach().bfloat16().to(dtype).requires_grad_()
        outputs = fused_gate(own, weight, relaxation, 6)
        (outputs[0].sum() + outputs[1] + outputs[2]).backward()
        found[dtype] = *outputs, own.grad
    narrow, wide = found[torch.bfloat16], found[torch.float32]
    assert torch.equal(narrow[0], wide[0])
    # a GPU's threads hold other weights of a block in another dtype, which changes sums' order
    torch.testing.assert_close(narrow[1:3], wide[1:3], rtol=1e-6, atol=0)
    assert narrow[3].dtype == torch.bfloat16
    # the last of bfloat16's 8 bits, since the interpreter cuts off where a GPU rounds
    torch.testing.assert_close(narrow[3].float(), wide[3], rtol=2**-7, atol=0)


def test_no_rows_are_no_mask(device):
    logits = torch.zeros(0, 7, device=device, requires_grad=True)
    outputs = fused_gate(logits, logits.detach(), Relaxation(1.0, 1.0), 0, first=35)
    assert [output.tolist() for output in outputs] == [[], 0.0, 0.0]
    (outputs[0].sum() + outputs[1] + outputs[2]).backward()
    assert logits.grad.shape == (0, 7)


def philox(counter, key):
    """Philox-4x32-10 in Python's integers: four counter words, two key words, four words out."""
    c, k = list(counter), list(key)
    for _ in range(10):
        a, b = 0xD2511F53 * c[0], 0xCD9E8D57 * c[2]
        c = [b >> 32 ^ c[1] ^ k[0], b % 2**32, a >> 32 ^ c[3] ^ k[1], a % 2**32]
        k = [(k[0] + 0x9E3779B9) % 2**32, (k[1] + 0xBB67AE85) % 2**32]
    return c


def test_the_oracle_of_philox_gives_the_published_answers():
    """Of the file kat_vectors of Random123, by the authors of Philox."""
    zeros, ones = philox([0] * 4, [0] * 2), philox([2**32 - 1] * 4, [2**32 - 1] * 2)
    assert zeros == [0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8]
    assert ones == [0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD]


def exact_noise(words, kind):
    """In float64: the lower 31 bits are the distance of u from 0, or from 1 with the sign bit."""
    words = np.asarray(words, dtype=np.int64)
    distance = (words % 2**31 + 0.5) / 2**32
    low = words < 2**31
    log_u = np.where(low, np.log(distance), np.log1p(-distance))
    log_rest = np.where(low, np.log1p(-distance), np.log(distance))
    return log_u - log_rest if kind == "logistic" else -np.log(-log_u)


@pytest.mark.parametrize("kind", ["logistic", "gumbel"])
@pytest.mark.parametrize("first", [0, 3, 2**35 + 6])
@pytest.mark.parametrize("seed", [0, 1, 2**31, 2**63 - 1, 0x0123456789ABCDEF])
def test_noise_is_made_of_the_words_of_philox(seed, first, kind, device):
    """All 63 bits of a seed and places that take more than 32 bits."""
    words = []
    for element in range(first, first + 9):
        high, low = divmod(element // 4, 2**32)
        words.append(philox([low, high, 0, 0], [seed % 2**32, seed >> 32])[element % 4])
    drawn = noise_of((9,), kind, seed, device, first)
    np.testing.assert_allclose(drawn.cpu(), exact_noise(words, kind), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("kind", ["logistic", "gumbel"])
def test_noise_is_finite_and_exact_in_both_tails(kind, device):
    edges = [0, 1, 2, 3, 2**26 - 1, 2**26, 2**27, 2**31 - 128, 2**31 - 1]
    words = [*edges, *(2**31 + edge for edge in edges)]
    words += [2**power for power in range(3, 31)] * 2
    words = words[:64] + [5] * (64 - len(words))
    bits = torch.tensor(words).to(torch.int32).to(device)  # wraps round
    noise = torch.empty(64, device=device)
    _write_noise_of_bits[(1,)](noise, bits, kind, 64)
    assert noise.isfinite().all()
    np.testing.assert_allclose(noise.cpu(), exact_noise(words, kind), rtol=1e-5, atol=2e-7)


@pytest.mark.parametrize(("kind", "law"), [("logistic", "logistic"), ("gumbel", "gumbel_r")])
def test_noise_has_the_distribution_it_is_named_after(kind, law, device):
    noise = noise_of((30_001,), kind, 123, device).double().cpu()
    assert stats.kstest(noise, law).pvalue > 0.01
    assert len(noise.unique()) > 29_900  # of 2^32 values few come twice


def test_neighbours_in_place_and_in_seed_are_uncorrelated(device):
    count = 20_000
    noise, *others = (
        noise_of((count,), "logistic", seed, device).double() for seed in (7, 8, 7 + 2**32)
    )
    pairs = [(noise, other) for other in others]
    pairs += [(noise[:-distance], noise[distance:]) for distance in (1, 2, 3, 4, _BLOCK)]
    for pair in pairs:
        correlation = float(torch.corrcoef(torch.stack(pair))[0, 1])
        assert abs(correlation) < 4 / math.sqrt(count)


def test_on_a_cpu_the_gate_is_its_own(monkeypatch):
    monkeypatch.setitem(sys.modules, "leap.methods.leap.fused", None)  # to import it is an error
    logits, weight = matrices((5, 7), "cpu")
    gate(logits, weight, Relaxation(2.0, 0.6), 3)[0].sum().backward()


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available() or INTERPRETED, reason="needs a GPU")
@pytest.mark.parametrize("recompute", [False, True])
def test_on_a_gpu_the_gate_is_the_fused_one(recompute):
    logits, weight = matrices((33, 129), "cuda", torch.bfloat16)
    relaxation = Relaxation(2.0, 0.6)
    ours = gate(logits, weight, relaxation, 3, "l2", recompute)
    assert all(map(torch.equal, ours, fused_gate(logits, weight, relaxation, 3)))


COMPILE = """
import re, sys
from triton import compile
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource
from leap.methods.leap.fused import _BLOCK, _WARPS, _backward, _forward

noise, hard = sys.argv[1], sys.argv[2] == "hard"
constants = {"NOISE": noise, "HARD": hard, "NORM": "l2", "BLOCK": _BLOCK}
common = {"logits": "*fp32", "weight": "*bf16"}
common |= dict.fromkeys(["count", "counter", "before", "seed"], "i64")
common |= {"alpha": "fp32", "rate": "fp32"} | dict.fromkeys(constants, "constexpr")
forward = {"masked": "*bf16", "sums": "*fp32"} | common
backward = {"grad": "*fp32", "upstream": "*bf16", "scalars": "*fp32"} | common
for kernel, types in (_forward, forward), (_backward, backward):
    # as for a whole matrix whose size divides by 16
    aligned = [i for i, (n, t) in enumerate(types.items()) if "*" in t or n in ("count", "before")]
    attributes = {(i,): [["tt.divisibility", 16]] for i in aligned}
    source = ASTSource(kernel, types, constants, attributes)
    built = compile(source, target=GPUTarget("cuda", 90, 32), options={"num_warps": _WARPS})
    assert built.asm["cubin"]
    ptx = built.asm["ptx"]
    assert ("cvt.rn.bf16x2.f32" in ptx) == (kernel is _forward)  # rounds to nearest
    widest = re.findall(r"(?:ld|st)\\.global\\.v4\\.b32", ptx)
    print(len(widest) * 16 * 32 * _WARPS / _BLOCK)  # bytes a weight of a program
"""


@pytest.mark.heavy
@pytest.mark.parametrize("mask", ["soft", "hard"])
@pytest.mark.parametrize("noise", ["logistic", "gumbel"])
def test_kernels_compile_for_a_gpu_and_move_20_bytes_a_weight(noise, mask, tmp_path):
    """Triton compiles without a GPU; the matrix's accesses are all of the widest kind."""
    environment = os.environ | {"TRITON_INTERPRET": "0", "TRITON_CACHE_DIR": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", COMPILE, noise, mask],
        env=environment | {"PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["8.0", "12.0"]
