"""Masks as files."""

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from leap_suite.artifacts.masks import mask_hash, save_masks
from leap_suite.artifacts.tensors import load_masks

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
