"""Packed matrices and checkpoints, for tests."""

import torch

from leap_suite.artifacts.files import sha256, write_json
from leap_suite.artifacts.masks import save_masks
from leap_suite.artifacts.tensors import save_tensors
from leap_suite.sparse.container import WEIGHTS, packed_matrix


def hardened(folder, tensors, masks):
    """Folder of a hardened checkpoint with these tensors, and masks by layer."""
    folder.mkdir()
    save_tensors(tensors, folder / WEIGHTS)
    save_masks(masks, folder / "mask.safetensors")
    (folder / "config.json").write_text("{}")
    write_json(folder / "manifest.json", {"weights_sha256": sha256(folder / WEIGHTS)})
    return folder


def matrix(rows, columns, density, seed=0):
    """A sparse matrix [rows, columns] in bfloat16, and its parts `mask`, `starts` and `kept`."""
    generator = torch.Generator().manual_seed(seed)
    mask_OI = torch.rand(rows, columns, generator=generator) < density
    weight_OI = torch.randn(rows, columns, generator=generator).bfloat16()
    weight_OI = weight_OI.masked_fill(~mask_OI, 0)
    packed = packed_matrix("x", weight_OI, mask_OI)
    return weight_OI, [packed[part] for part in ("mask", "starts", "kept")]


def assert_products(found_NO, tokens_NI, weight_OI, rounding=2**-8):
    """Fail where products in bfloat16 are further from those in float64 than float32 sums are."""
    exact_NO = tokens_NI.double() @ weight_OI.double().T
    sizes_NO = tokens_NI.double().abs() @ weight_OI.double().abs().T
    assert found_NO.dtype == torch.bfloat16
    # half a unit of bfloat16's last place, and a few of float32's of the terms of a sum
    bound_NO = rounding * exact_NO.abs() + 1e-5 * sizes_NO + 1e-30
    assert ((found_NO.double() - exact_NO).abs() <= bound_NO).all()
