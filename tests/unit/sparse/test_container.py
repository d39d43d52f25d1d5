"""A packed checkpoint is smaller, and gives the dense one again, down to the bits."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file

from leap_suite.artifacts.files import write_json
from leap_suite.sparse.container import WEIGHTS, pack_checkpoint, unpack_checkpoint
from tests.unit.sparse.packed import hardened


def bits(tensor):
    return tensor.contiguous().view(torch.uint8)


@settings(deadline=None, max_examples=40)
@given(
    rows=st.integers(1, 9),
    columns=st.integers(1, 130),
    dtype=st.sampled_from([torch.bfloat16, torch.float16, torch.float32]),
    seed=st.integers(0, 99),
)
def test_any_matrix_comes_back(tmp_path_factory, rows, columns, dtype, seed):
    tmp_path = tmp_path_factory.mktemp("sparse")
    generator = torch.Generator().manual_seed(seed)
    mask = torch.rand(rows, columns, generator=generator) < 0.5
    weight = (torch.randn(rows, columns, generator=generator) * mask).to(dtype)
    weight[mask & (weight > 1)] = -0.0  # kept, though zero
    weight[mask & (weight < -1)] = float("nan")
    weight[~mask] = 0.0
    other = torch.randn(3, generator=generator).to(dtype)
    tensors = {"block.linear.weight": weight, "block.linear.bias": other}
    tensors["norm.mask"] = other.clone()
    place = hardened(tmp_path / "hardened", tensors, {"block.linear": mask})
    (tmp_path / "packed").mkdir()
    size = pack_checkpoint(place, tmp_path / "packed")
    words = rows * -(-columns // 64) * 8
    kept = (int(mask.sum()) + 32) * weight.itemsize
    parts = words + 4 * rows + kept + 16 + 2 * other.nbytes
    assert parts <= size < parts + 700, "one bit per weight, the kept weights, and a header"
    unpack_checkpoint(tmp_path / "packed", tmp_path / "dense")
    found = load_file(tmp_path / "dense" / WEIGHTS)
    assert found.keys() == tensors.keys()
    for name, tensor in tensors.items():
        assert found[name].dtype == tensor.dtype
        assert torch.equal(bits(found[name]), bits(tensor)), name


def test_a_weight_that_should_be_gone_and_a_damaged_file_are_refused(tmp_path):
    mask = torch.tensor([[True, False]])
    place = hardened(tmp_path / "a", {"x.weight": torch.ones(1, 2)}, {"x": mask})
    with pytest.raises(ValueError, match=r"x\.weight: a weight outside the mask is not zero"):
        pack_checkpoint(place, tmp_path)
    assert not (tmp_path / WEIGHTS).exists()
    place = hardened(tmp_path / "b", {"x.weight": torch.tensor([[1.0, 0.0]])}, {"x": mask})
    pack_checkpoint(place, tmp_path)
    content = bytearray((tmp_path / WEIGHTS).read_bytes())
    content[-1] ^= 1
    (tmp_path / WEIGHTS).write_bytes(content)
    with pytest.raises(ValueError, match="damaged"):
        unpack_checkpoint(tmp_path, tmp_path / "dense")
    write_json(place / "manifest.json", {"weights_sha256": "0"})
    with pytest.raises(ValueError, match="is not what its manifest says"):
        pack_checkpoint(place, tmp_path)
