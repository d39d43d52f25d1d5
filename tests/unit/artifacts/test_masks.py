"""Masks as files."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from suite.artifacts.masks import check_groups, mask_hash, save_masks
from suite.artifacts.tensors import load_masks

MASKS = st.lists(hnp.arrays(np.bool_, hnp.array_shapes(min_dims=2, max_dims=2, max_side=20)),
                 min_size=1, max_size=4)  # fmt: skip


@settings(deadline=None)
@given(MASKS)
def test_masks_come_back_bit_for_bit_and_in_order(tmp_path_factory, arrays):
    masks = {f"layer.{9 - i}": torch.from_numpy(array) for i, array in enumerate(arrays)}
    path = tmp_path_factory.mktemp("masks") / "mask.safetensors"
    save_masks(masks, path)
    back = load_masks(path)
    assert list(back) == list(masks)
    assert all(torch.equal(back[name], masks[name]) for name in masks)
    assert mask_hash(back) == mask_hash(masks)


def test_a_mask_takes_one_bit_a_weight(tmp_path):
    path = tmp_path / "mask.safetensors"
    save_masks({"a": torch.ones(800, 1000, dtype=torch.bool)}, path)
    assert 100_000 <= path.stat().st_size < 101_000


def test_the_hash_sees_a_bit_a_name_and_a_shape():
    mask = torch.zeros(4, 6, dtype=torch.bool)
    other = mask.clone()
    other[3, 5] = True
    hashes = {mask_hash({"a": mask}), mask_hash({"a": other}), mask_hash({"b": mask}),
              mask_hash({"a": mask.reshape(6, 4)})}  # fmt: skip
    assert len(hashes) == 4


def test_a_group_that_keeps_another_number_is_named():
    masks = {"a": torch.tensor([[1, 0, 1, 0, 0, 1, 1, 0]]).bool()}
    check_groups(masks, "2:4", {})
    check_groups(masks, "row", {})
    masks["b"] = torch.tensor([[1, 1, 1, 0, 0, 1, 0, 0]]).bool()
    with pytest.raises(ValueError, match="b: 2 of 2 groups do not keep 2:4"):
        check_groups(masks, "2:4", {})
    check_groups(masks, "4:8", {})


def test_a_tile_is_dense_or_sparse_as_its_map_says():
    mask = torch.tensor([[1, 1, 1, 1, 0, 1, 1, 0, 1, 0, 1, 0]] * 5).bool()
    tiles = {"size": 4, "pattern": "2:4", "dense": {"a": ["100", "100"]}}
    check_groups({"a": mask}, "2:4", tiles)
    lower = {**tiles, "dense": {"a": ["100", "000"]}}
    with pytest.raises(ValueError, match="a: 1 of 15 groups do not keep 2:4 or a dense tile"):
        check_groups({"a": mask}, "2:4", lower)
    mask[2, 1] = False
    with pytest.raises(ValueError, match="a: 1 of 15 groups"):
        check_groups({"a": mask}, "2:4", tiles)
