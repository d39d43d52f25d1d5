"""Products of packed matrices, by all kernels, against float64."""

import importlib.util
import os
import subprocess
import sys

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from leap_suite.sparse import cpu, gpu
from leap_suite.sparse.container import unpacked_matrix
from leap_suite.sparse.dense import like
from tests.unit.sparse.packed import assert_products, matrix

BUILT = cpu.instructions()
KINDS = ("avx2", "avx512_bf16")

needs_kernel = pytest.mark.skipif(not BUILT, reason="the CPU kernel needs AVX2 and a C++ compiler")


@pytest.fixture(params=KINDS)
def kind(request):
    if KINDS.index(request.param) > KINDS.index(BUILT):
        pytest.skip(f"this CPU has {BUILT} only")
    return request.param


@needs_kernel
@settings(deadline=None, max_examples=60)
@given(
    rows=st.integers(1, 40),
    columns=st.integers(1, 300),
    tokens=st.integers(1, 19),
    density=st.sampled_from([0.0, 0.1, 0.5, 1.0]),
    seed=st.integers(0, 99),
)
def test_products_on_a_cpu(rows, columns, tokens, density, seed):
    weight_OI, parts = matrix(rows, columns, density, seed)
    tokens_NI = torch.randn(tokens, columns, generator=torch.Generator().manual_seed(seed))
    tokens_NI = tokens_NI.bfloat16()
    for kind in KINDS[: KINDS.index(BUILT) + 1]:
        found_NO = torch.ops.bitmask.linear(tokens_NI, *parts, kind)
        assert_products(found_NO, tokens_NI, weight_OI)
        found_OI = torch.ops.bitmask.unpack(*parts, kind)[:, :columns]
        assert torch.equal(found_OI.bfloat16(), weight_OI)
    assert_products(cpu.linear(tokens_NI, *parts), tokens_NI, weight_OI)
    assert torch.equal(unpacked_matrix(parts[0], parts[2], columns), weight_OI)


@needs_kernel
@pytest.mark.parametrize("shape", [(1, 64), (33, 640), (500, 2048)])
def test_dense_products_of_one_token(shape, kind):
    weight_OI, token_1I = torch.randn(shape).bfloat16(), torch.randn(1, shape[1]).bfloat16()
    assert cpu.can_multiply(token_1I, weight_OI)
    assert_products(torch.ops.bitmask.dense(token_1I, weight_OI, kind), token_1I, weight_OI)


@needs_kernel
def test_other_dense_products_are_torchs():
    linear = torch.nn.Linear(128, 7, dtype=torch.bfloat16)
    layer = like(linear)
    assert layer.weight is linear.weight
    assert_products(layer(torch.ones(1, 128).bfloat16()) - linear.bias,
                    torch.ones(1, 128).bfloat16(), linear.weight, 2**-6)  # fmt: skip
    several = torch.randn(2, 3, 128).bfloat16()
    assert torch.equal(layer(several), linear(several))
    assert layer(several[:1, :1]).shape == (1, 1, 7)
    token_1I = torch.randn(1, 100).bfloat16()
    assert not cpu.can_multiply(token_1I, torch.randn(7, 100).bfloat16())
    for x, weight in ((several[0], linear.weight), (token_1I, torch.randn(7, 100).bfloat16())):
        with pytest.raises(RuntimeError, match="needs one token"):
            torch.ops.bitmask.dense(x, weight, BUILT)


@needs_kernel
def test_threads_do_not_change_a_bit(kind):
    _, parts = matrix(700, 512, 0.4)
    tokens_NI = torch.randn(3, 512).bfloat16()
    before = torch.get_num_threads()
    found = []
    for threads in (1, 2, 3):
        torch.set_num_threads(threads)
        found.append(torch.ops.bitmask.linear(tokens_NI, *parts, kind))
    torch.set_num_threads(before)
    assert torch.equal(found[0], found[1])
    assert torch.equal(found[0], found[2])


@needs_kernel
def test_wrong_tensors_and_instructions_are_refused():
    _, (mask, starts, kept) = matrix(8, 64, 0.5)
    tokens_NI = torch.ones(1, 64).bfloat16()
    for parts in (
        (mask.int(), starts, kept),
        (mask, starts[:4], kept),
        (mask, starts, kept.float()),
        (mask[:, :4], starts, kept),
    ):
        with pytest.raises(RuntimeError, match=r"not those of a packed matrix|needs contiguous"):
            torch.ops.bitmask.linear(tokens_NI, *parts, BUILT)
    for tokens in (tokens_NI.float(), torch.ones(1, 65).bfloat16(), tokens_NI[0]):
        with pytest.raises((RuntimeError, IndexError), match=r"not \[N, I\]|out of range"):
            torch.ops.bitmask.linear(tokens, mask, starts, kept, BUILT)
    for product in (
        lambda: torch.ops.bitmask.linear(tokens_NI, mask, starts, kept, "amx"),
        lambda: torch.ops.bitmask.unpack(mask, starts, kept, "amx"),
        lambda: torch.ops.bitmask.dense(tokens_NI, tokens_NI, "amx"),
    ):
        with pytest.raises(RuntimeError, match="this CPU has no amx"):
            product()


@pytest.mark.parametrize("tokens", [1, 2, 7, 16, 17])
@pytest.mark.parametrize("shape", [(1, 1), (16, 128), (37, 301)])
def test_products_on_a_gpu(shape, tokens):
    pytest.importorskip("triton", reason="Triton is not installed")
    device = "cpu" if os.environ.get("TRITON_INTERPRET") == "1" else "cuda"
    if device == "cuda" and not torch.cuda.is_available():
        pytest.skip("needs a GPU, or Triton's interpreter")
    weight_OI, parts = matrix(*shape, 0.5)
    tokens_NI = torch.randn(tokens, shape[1]).bfloat16()
    found_NO = gpu.linear(tokens_NI.to(device), *(part.to(device) for part in parts))
    # the interpreter cuts off where a GPU rounds
    rounding = 2**-7 if device == "cpu" else 2**-8
    assert_products(found_NO.cpu(), tokens_NI, weight_OI, rounding)
    found_OI = gpu.unpack(*(part.to(device) for part in parts), shape[1])
    assert torch.equal(found_OI.cpu(), weight_OI)


def test_without_triton_a_line_says_so(monkeypatch, caplog):
    monkeypatch.setattr(gpu, "find_spec", lambda name: None)
    assert not gpu.is_available.__wrapped__()
    assert "needs the package triton: products are dense" in caplog.text
    monkeypatch.undo()
    assert gpu.is_available.__wrapped__() == (importlib.util.find_spec("triton") is not None)


WITHOUT_COMPILER = """
import logging, torch
logging.basicConfig()
from leap_suite.sparse import cpu
from leap_suite.sparse.layer import PackedLinear
print(repr(cpu.instructions()), repr(cpu.instructions()))
"""


@pytest.mark.heavy
def test_without_a_compiler_a_line_says_so_once(tmp_path):
    environment = {
        "PATH": str(tmp_path), "HOME": str(tmp_path), "PYTHONPATH": os.pathsep.join(sys.path),
        "TORCH_EXTENSIONS_DIR": str(tmp_path / "built"), "CXX": str(tmp_path / "none"),
    }  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_COMPILER], env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["''", "''"]
    lines = [line for line in done.stderr.splitlines() if "packed weights" in line]
    assert len(lines) == 1, done.stderr
    assert "could not be built" in lines[0]
    assert "products are dense" in lines[0]
    assert "Traceback" not in done.stderr


COMPILE = """
from triton import compile
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource
from leap_suite.sparse import gpu, triton_kernels

common = {"mask": "*u8", "starts": "*i32", "kept": "*bf16"}
common |= dict.fromkeys(["rows", "row_bytes", "columns"], "i32")
sizes = {"ROWS": gpu._ROWS, "COLUMNS": gpu._COLUMNS}
kernels = [(triton_kernels.unpack, {**common, "found": "*bf16"}, {})]
for padded in 1, 16:
    types = {**common, "found": "*bf16", "inputs": "*bf16", "tokens": "i32"}
    kernels.append((triton_kernels.linear, types, {"PADDED": padded, "WIDE": False}))
for kernel, types, own in kernels:
    constants = {**own, **sizes}
    source = ASTSource(kernel, {**types, **dict.fromkeys(constants, "constexpr")}, constants)
    built = compile(source, target=GPUTarget("cuda", 90, 32))
    print("mma" if "mma" in built.asm["ptx"] else "none", len(built.asm["cubin"]) > 0)
"""


@pytest.mark.heavy
def test_gpu_kernels_compile_and_several_tokens_use_tensor_cores(tmp_path):
    pytest.importorskip("triton", reason="Triton is not installed")
    environment = os.environ | {"TRITON_INTERPRET": "0", "TRITON_CACHE_DIR": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", COMPILE],
        env=environment | {"PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["none", "True", "none", "True", "mma", "True"]
