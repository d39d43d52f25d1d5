"""Files with checksums: every damaged bit is noticed, and the error names the file."""

import json

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from leap_suite.artifacts.arrays import load_arrays, save_arrays
from leap_suite.artifacts.files import read_json, write_json
from leap_suite.artifacts.tensors import load_tensors, save_tensors


@pytest.fixture(scope="module")
def arrays(tmp_path_factory):
    path = tmp_path_factory.mktemp("arrays") / "corpus.safetensors"
    contents = {"b": np.arange(6, dtype=np.int32).reshape(2, 3), "a": np.zeros(5, np.uint8)}
    save_arrays(contents, path, {"bos": "true"})
    return path, contents


def test_arrays_come_back_with_their_metadata(arrays):
    path, contents = arrays
    found, metadata = load_arrays(path)
    assert metadata == {"bos": "true"} and list(found) == ["a", "b"]
    for name, array in contents.items():
        assert found[name].dtype == array.dtype
        np.testing.assert_array_equal(found[name], array)


def test_equal_contents_are_equal_files(tmp_path):
    contents = {name: np.arange(3) for name in "abcdef"}
    for number in range(20):
        save_arrays(contents, tmp_path / str(number), {name: name for name in "uvwxyz"})
    assert len({file.read_bytes() for file in tmp_path.iterdir()}) == 1


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16, torch.bool])
def test_tensors_come_back_in_their_type(tmp_path, dtype):
    tensors = {"w": torch.randn(3, 5).to(dtype), "empty": torch.empty(0, 4, dtype=dtype)}
    save_tensors(tensors, tmp_path / "weights.safetensors")
    found = load_tensors(tmp_path / "weights.safetensors")
    assert found.keys() == tensors.keys()
    assert all(torch.equal(found[name], tensors[name]) for name in tensors)
    save_tensors({}, tmp_path / "none.safetensors")
    assert load_tensors(tmp_path / "none.safetensors") == {}


@given(st.data())
def test_any_flipped_bit_and_any_missing_end_is_noticed_and_named(arrays, data):
    path, _ = arrays
    whole = path.read_bytes()
    bit = data.draw(st.integers(0, 8 * len(whole) - 1))
    length = data.draw(st.integers(0, len(whole) - 1))
    flipped = bytearray(whole)
    flipped[bit // 8] ^= 1 << bit % 8
    for name, content in (("flipped", flipped), ("cut", whole[:length])):
        damaged = path.with_name(f"{name}.safetensors")
        damaged.write_bytes(content)
        with pytest.raises(ValueError, match=rf"{name}\.safetensors is .*run again"):
            load_arrays(damaged)


def test_a_file_without_a_checksum_is_not_taken_for_a_good_one(tmp_path):
    from safetensors.torch import save_file

    save_file({"a": torch.ones(2)}, tmp_path / "foreign.safetensors")
    with pytest.raises(ValueError, match=r"foreign\.safetensors is damaged"):
        load_tensors(tmp_path / "foreign.safetensors")
    with pytest.raises(ValueError, match=r"foreign\.safetensors is not a whole file \('F32'\)"):
        load_arrays(tmp_path / "foreign.safetensors")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)  # fmt: skip


@given(st.dictionaries(st.text().filter(lambda key: key != "checksum"), JSON, max_size=4))
def test_json_comes_back_and_its_checksum_is_left_out(tmp_path_factory, value):
    path = tmp_path_factory.getbasetemp() / "any.json"
    write_json(path, value)
    assert read_json(path) == value


def test_a_changed_number_in_a_json_file_is_noticed(tmp_path):
    path = tmp_path / "0.5.json"
    write_json(path, {"acc": 0.25, "nested": {"ppl": 9.5}})
    for damage in (("0.25", "0.26"), ("9.5", "8.5"), ("nested", "nestex")):
        damaged = tmp_path / "damaged.json"
        damaged.write_text(path.read_text().replace(*damage))
        with pytest.raises(ValueError, match=r"damaged\.json is damaged"):
            read_json(damaged)
    path.write_text(path.read_text()[:-5])
    with pytest.raises(ValueError, match=r"0\.5\.json is damaged"):
        read_json(path)
    path.write_text(json.dumps({"acc": 0.25}))
    assert read_json(path) == {"acc": 0.25}, "one that others wrote has no checksum"
